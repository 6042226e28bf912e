"""Searching for a direction along which the loss falls for ever (S9, S11, S12)."""
