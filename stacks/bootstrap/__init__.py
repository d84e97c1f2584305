"""What must exist in an account before its first stack does."""
