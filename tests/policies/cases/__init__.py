"""What every rule passes, refuses, cannot decide and does not apply to."""
