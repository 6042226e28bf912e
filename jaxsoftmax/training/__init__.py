"""Training as one compiled loop per method, with honest statuses."""
