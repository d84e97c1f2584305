"""Clients of moto in this process."""

from typing import Any

import boto3


def client(service: str) -> Any:
    """A client in the region of `local`, with keys that nobody checks."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return boto3.client(service, region_name="us-east-1", **keys)
