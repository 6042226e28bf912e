"""The result of a check, and its text and HTML."""
