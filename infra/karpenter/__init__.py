"""Karpenter: the component, its pools and its permissions."""
