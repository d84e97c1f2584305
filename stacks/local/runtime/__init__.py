"""Containers as processes: jobs, servers, functions."""
