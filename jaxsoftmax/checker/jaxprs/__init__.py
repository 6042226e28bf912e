"""Evaluating a traced program again: without its custom rules, and at complex numbers."""
