"""The Kubernetes side of the provider: any kind of object."""
