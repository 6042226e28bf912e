"""Loss, gradient, Hessian, their null space, and the penalties (S1–S6, S21)."""
