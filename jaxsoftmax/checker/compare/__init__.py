"""A rule against each route of evidence: gradients, Jacobians, Hessians."""
