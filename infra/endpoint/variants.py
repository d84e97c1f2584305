"""What an endpoint runs: a model from the registry on instances."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class VariantSpec:
    """One model of an endpoint and the fleet it starts with."""

    model_package_arn: str
    """The approved model package to serve, pinned."""

    instance_type: str
    """SageMaker type, such as `ml.m5.large`, with a row in `infra/instances.py`."""

    instance_count: int
    """Instances that a new fleet starts with; more are a matter of scaling. Two or more are spread
    over zones by SageMaker."""

    weight: float = 1
    """Share of the traffic that a new fleet starts with, against the other variants; of a shadow,
    the share of requests that it gets a copy of. Default: 1."""


@dataclass(frozen=True, kw_only=True)
class Subnets:
    """Where the instances of a model have their network interfaces."""

    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    cidr_block: str
    """Of the VPC. A model cannot be moved, so another network makes a model of another name."""


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Which requests and answers are kept."""

    percent: int
    uri: str
    """`s3://bucket/prefix`; SageMaker adds `/<endpoint>/<variant>/...`."""

    def __post_init__(self) -> None:
        path = self.uri.removeprefix("s3://")
        if path == self.uri or "//" in path or path.endswith("/"):
            raise ValueError(
                f"uri must be s3://bucket/prefix without empty parts, got {self.uri!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Asynchronous:
    """Requests wait in a queue, and their answers are objects."""

    output_uri: str
    failure_uri: str
    """`s3://bucket/prefix` of answers, and of what went wrong."""

    max_concurrent_invocations: int = 4
    """Requests that one instance works on at a time (1 to 1000). Default: 4."""
