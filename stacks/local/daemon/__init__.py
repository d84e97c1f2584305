"""The process of the local cloud, its client, its state."""
