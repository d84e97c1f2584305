"""What runs between a stream and the feature store: the code of a Lambda function."""
