"""One compiled loop for every method, what a method has to offer it, and when it stops."""
