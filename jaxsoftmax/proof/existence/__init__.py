"""The verdict whether a minimiser exists (S9–S12)."""
