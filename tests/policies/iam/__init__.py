"""IAM's decisions: a table of cases with their sources, laws, and what an endpoint asks."""
