"""What is trained and what is served."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stacks.settings.part import Part


class Image(Part):
    """The workload image, by digest."""

    digest: Annotated[str, Field(pattern=r"^(context|sha256:[0-9a-f]{64})$")]
    """`context`: the digest of the build context, for environments that run it from source."""


class Training(Part):
    train_start: str = "2013-01-01"
    train_end: str = "2013-03-01"
    evaluation_days: Annotated[int, Field(ge=1, le=60)] = 14
    auc_threshold: Annotated[float, Field(gt=0.5, lt=1)] = 0.65
    instance_type: str = "ml.m5.large"
    max_runtime_seconds: Annotated[int, Field(ge=60)] = 3600
    max_parallel_steps: Annotated[int, Field(ge=1, le=50)] = 2


class Endpoint(Part):
    model_package_arn: str | None = None
    """The approved package to serve; `plinth promote` writes it. Without one nothing is served."""

    instance_type: str = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1)] = 1
    traffic_routing: Literal["ALL_AT_ONCE", "CANARY"] = "CANARY"
    canary_percent: Annotated[int, Field(ge=1, le=50)] = 10
    wait_interval_seconds: Annotated[int, Field(ge=0, le=3600)] = 600
    latency_p99_ms: Annotated[int, Field(ge=1)] = 500
    capture_percent: Annotated[int, Field(ge=0, le=100)] = 0
