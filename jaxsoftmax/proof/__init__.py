"""What can be proved about a data set, with certificates for readers who trust neither this package nor JAX."""
