"""The convexity probe: the Hessian's spectrum beside its bounds (S5–S7)."""
