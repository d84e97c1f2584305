"""Batch transforms: records of objects in S3 asked of a model, its answers back in S3."""
