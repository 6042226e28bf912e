"""Data larger than memory, or spread over processes: rows read in chunks, and training by whole passes over them."""
