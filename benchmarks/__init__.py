"""Benchmarks: a module a case, one runner (`python -m benchmarks`), results as JSON with the machine's description."""
