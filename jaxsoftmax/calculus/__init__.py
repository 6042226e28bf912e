"""Pure functions of (W, problem): the theorems S1–S8 and S16–S17 as code."""
