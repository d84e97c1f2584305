"""What runs on the platform: pipeline definitions, their step programs, the local executor."""
