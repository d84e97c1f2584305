"""What each environment and stack is made of: the typed content of the files in `environments`."""
