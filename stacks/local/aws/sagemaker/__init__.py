"""SageMaker that behaves: the overlay in front of moto in the local cloud."""
