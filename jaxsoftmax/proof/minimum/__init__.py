"""The minimiser and the minimum, enclosed (S13–S15)."""
