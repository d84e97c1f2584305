"""The AWS endpoint: SageMaker, recorded services, moto and its corrections."""
