"""The AWS side of the provider: one row per resource type."""
