"""Every version that is pinned, with date and source, and how long Kubernetes is supported."""
