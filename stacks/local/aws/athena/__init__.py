"""Athena's queries, answered by DuckDB over the tables of Glue and the objects of S3."""
