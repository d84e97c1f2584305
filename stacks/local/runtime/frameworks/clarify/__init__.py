"""What SageMaker Clarify's image does: bias of data and models, and explanations of predictions."""
