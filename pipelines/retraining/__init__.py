"""What decides whether a trigger becomes a run of a pipeline: the code of a Lambda function."""
