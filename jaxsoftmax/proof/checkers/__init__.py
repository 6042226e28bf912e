"""Independent checkers of certificates: the standard library (and python-flint), nothing of ours."""
