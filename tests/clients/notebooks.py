"""Pipelines of the shapes that AWS's sample notebooks have, by its SDK v2, in a local cloud."""

from tests.clients import harness
from tests.clients.sdk_v2 import PACKAGES


def run(arguments: list[str]) -> int:
    """Run its program; 1 where the SDK could not be had."""
    return harness.program("notebooks", PACKAGES, arguments)
