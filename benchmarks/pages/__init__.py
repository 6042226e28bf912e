"""The pages of `docs/benchmarks/`, made from `results/*.json` alone: `python -m benchmarks pages` (extra `plots`).

No number is typed in this folder: a module a page holds the words, `tables.py` writes the numbers, `pictures.py` draws.
A test compares the pages in the repository with what these modules make, and the pictures with their numbers.
"""
