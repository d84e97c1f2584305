"""SageMaker's SDK that the checkout has, against a local cloud; its pipelines are in the suite."""

from tests.clients import harness


def run(arguments: list[str]) -> int:
    """Run its program."""
    return harness.program("sdk_v3", (), arguments)
