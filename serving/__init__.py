"""What answers: the inference server of the one model artefact format."""
