"""`fit`: the methods, the loop that runs them, and what can be said where they end."""
