"""How the local cloud's data outlive its process: a snapshot of everything, and the way back."""
