"""The report of `verify` as one HTML page: its sections, its pictures, its frame."""
