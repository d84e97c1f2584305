"""The typed content of an environment's file: model, loading, pinning."""
