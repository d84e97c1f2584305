"""CloudWatch Logs: which events a filter pattern matches, and what Logs Insights answers."""
