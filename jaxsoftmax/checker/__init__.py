"""The derivative checker: any JAX function and any hand-written rule of it."""
