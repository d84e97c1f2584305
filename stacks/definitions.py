"""From the settings of a workload's stack to the compiled definitions of its pipelines."""

from collections.abc import Mapping

JOB_SECURITY_GROUP = "job-security-group-id"
STORAGE_KEY = "storage-key-arn"
TRACKING_APP = "tracking-app-arn"
"""Names of what AWS invents. The compiled definition has `{{name}}` until the stack knows it, so
that its bytes are those of the sources and the settings alone."""


def subnet(zone: str) -> str:
    """Name of what AWS invents for the private subnet in a zone."""
    return f"private-subnet-id-{zone}"


def placeholder(name: str) -> str:
    """What stands in the compiled definition for something that AWS invents."""
    return "{{" + name + "}}"


def filled_in(definition: str, values: Mapping[str, str]) -> str:
    """The definition with what AWS invented."""
    for name, value in values.items():
        definition = definition.replace(placeholder(name), value)
    return definition


def definitions(settings) -> dict[str, str]:
    """STUB until the workloads land."""
    return {name: '{"Version": "2020-12-01", "Steps": []}' for name in getattr(settings, "workload").pipelines} if hasattr(settings, "workload") else {}
