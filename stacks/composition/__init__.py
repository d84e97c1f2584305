"""The only place where components meet; see compose.py."""
