"""The Kubernetes control plane behind the local EKS cluster, and the provider that speaks to it."""
