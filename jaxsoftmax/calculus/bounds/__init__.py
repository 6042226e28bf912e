"""What is proved about curvature, steps and rates before and during training (S7, S8, S16–S19)."""
