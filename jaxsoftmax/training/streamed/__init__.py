"""Data larger than memory: rows read in chunks from files and memory maps."""
