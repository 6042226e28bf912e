"""What every room stands on: validation at the boundary, and files written whole."""
