"""The programs of the pipeline's jobs, one module a step."""
