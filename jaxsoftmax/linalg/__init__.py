"""Numbers without theory: stable softmax, products with X, row blocks, eigensolvers, enclosures."""
