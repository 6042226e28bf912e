"""The theorems as code: pure functions of weights and a problem."""
