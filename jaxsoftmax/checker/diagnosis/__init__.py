"""What a wrong derivative looks like, named."""
