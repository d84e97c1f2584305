"""SageMaker's SDK of the second version, in a venv of its own, against a local cloud."""

from tests.clients import harness

PACKAGES = ("sagemaker==2.257.7",)


def run(arguments: list[str]) -> int:
    """Run its program; 1 where the SDK could not be had."""
    return harness.program("sdk_v2", PACKAGES, arguments)
