"""What can be observed: independent references, the cross-check, and the convexity probe."""
