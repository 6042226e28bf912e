"""Independent evidence about our own formulas, on a given problem."""
