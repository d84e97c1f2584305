"""Whether IAM allows a request: documents compiled once, and AWS's evaluation logic over them."""
