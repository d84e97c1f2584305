"""What is asked before a deployment (preflight) and after it (verify), as lists of checks."""
