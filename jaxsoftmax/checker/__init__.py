"""The derivative checker: programs as jaxprs, their rounding errors, and independent routes to their derivatives."""
