"""Evidence from values alone: differences, Taylor's order, probing directions, kinks."""
