"""Verdicts and minima that are proved, in exact arithmetic, with certificates."""
