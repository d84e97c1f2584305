"""What AWS refuses although the request is well formed and the caller may ask: a table, and why."""
