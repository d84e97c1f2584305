"""What a review knows of the repository and of the stack."""
