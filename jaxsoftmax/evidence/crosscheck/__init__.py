"""Our rules against autodiff of a textbook loss and 50-digit arithmetic, entry by entry."""
