"""Step Functions: state machines run by moto's interpreter, as the role of the machine."""
