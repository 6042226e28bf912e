"""Searching for the multipliers that prove a minimiser, or the absence of complete separation (S10)."""
