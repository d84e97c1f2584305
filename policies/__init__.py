"""What is allowed: rules about resources, stacks and pipeline definitions."""
