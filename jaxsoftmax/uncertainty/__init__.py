"""Statistical inference: standard errors, tests and intervals of a fit, and what separated data leave of them (S22)."""
