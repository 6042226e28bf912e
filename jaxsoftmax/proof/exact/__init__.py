"""The data as integers, and exact arithmetic on them."""
