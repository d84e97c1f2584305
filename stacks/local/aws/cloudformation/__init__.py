"""CloudFormation: moto runs the stacks; what it refuses, changes and makes of SageMaker is ours."""
