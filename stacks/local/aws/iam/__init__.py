"""IAM's decision on every call that a role or a user makes to the AWS endpoint."""
