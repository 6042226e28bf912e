"""Sparse X: its problem, products with it, and Newton's method for 10^4 to 10^6 columns."""
