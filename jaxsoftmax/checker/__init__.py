"""Derivatives of any JAX function, checked entry by entry; knows nothing of softmax."""
