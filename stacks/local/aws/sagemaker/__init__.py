"""SageMaker that behaves: an emulator in front of moto in the local cloud."""
