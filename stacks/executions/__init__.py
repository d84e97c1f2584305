"""Executions of SageMaker pipelines as people look at them: their steps, logs and a page."""
