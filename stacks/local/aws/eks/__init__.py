"""Who may talk to the API server of an EKS cluster, and what they may do there."""
