"""Feast, in a venv of its own, with its registry in S3 and its online store in DynamoDB."""

from tests.clients import harness

PACKAGES = ("feast[aws]==0.67.0", "s3fs==2026.9.0")


def run(arguments: list[str]) -> int:
    """Run its program; 1 where Feast could not be had."""
    return harness.program("feast_store", PACKAGES, arguments)
