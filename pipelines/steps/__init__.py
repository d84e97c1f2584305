"""What runs inside the pipeline's jobs; imports nothing of ours outside this folder."""
