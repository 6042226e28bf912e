"""How far rounding can have moved each number that a program computes."""
