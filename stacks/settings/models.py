"""What is trained and what is served."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from infra.instances import INSTANCE_TYPES
from pipelines.workload import Parameter
from stacks.settings.foundation import Network
from stacks.settings.part import Part


def _offered(name: str) -> str:
    if name.removeprefix("ml.") not in INSTANCE_TYPES or not name.startswith("ml."):
        known = ", ".join(f"ml.{one}" for one in INSTANCE_TYPES)
        raise ValueError(f"must be a type with a row in infra/instances.py ({known}), got {name!r}")
    return name


InstanceType = Annotated[str, AfterValidator(_offered)]
"""Of SageMaker, `ml.m5.large`: whether its volumes take a key must be known."""


class Image(Part):
    """The workload image, by digest."""

    digest: Annotated[str, Field(pattern=r"^(context|sha256:[0-9a-f]{64})$")]
    """`context`: the digest of the build context, for environments that run it from source."""


class Pipeline(Part):
    """How one pipeline of the workload runs."""

    parameters: dict[str, Parameter] = Field(default_factory=dict)
    """Defaults of a run that differ from the declaration's. Default: none does."""

    instance_type: InstanceType = "ml.m5.large"
    max_runtime_seconds: Annotated[int, Field(ge=60)] = 3600
    """Limit of each job."""

    max_parallel_steps: Annotated[int, Field(ge=1, le=50)] = 2


class Registry(Part):
    """What is said about the model beside its versions."""

    model_card_status: Literal["Draft", "PendingReview", "Approved", "Archived"] = "Draft"
    """Where the review of the model card stands; a person sets it. Default: a draft."""


class Tracking(Part):
    """Which MLflow records the runs."""

    kind: Literal["app", "server", "none"] = "app"
    """An app costs next to nothing while idle, a server about 469 USD a month (Small, us-east-1).
    Default: an app."""

    size: Literal["Small", "Medium", "Large"] = "Small"
    """Of a server. Default: Small."""


class Rollout(Part):
    """How an update reaches callers."""

    traffic_routing: Literal["ALL_AT_ONCE", "CANARY", "LINEAR", "ROLLING"] = "CANARY"
    canary_percent: Annotated[int, Field(ge=1, le=50)] = 10
    """Share of the fleet that a canary update moves first."""

    linear_percent: Annotated[int, Field(ge=10, le=50)] = 20
    """Share of the fleet in each step of a linear update."""

    rolling_percent: Annotated[int, Field(ge=5, le=50)] = 25
    """Share of the fleet in each batch of a rolling update."""

    wait_interval_seconds: Annotated[int, Field(ge=0, le=3600)] = 600
    """Baking time after each step, in which an alarm rolls the update back."""

    termination_wait_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """How long the old fleet stays after the last step. Default: as long as the baking time."""

    @property
    def step_percent(self) -> int:
        """The step of the routing that is chosen."""
        steps = {
            "CANARY": self.canary_percent,
            "LINEAR": self.linear_percent,
            "ROLLING": self.rolling_percent,
        }
        return steps.get(self.traffic_routing, 100)


class Autoscaling(Part):
    """Instances by the requests they get."""

    min_instances: Annotated[int, Field(ge=1)]
    max_instances: Annotated[int, Field(ge=1)]
    """What the quota of the instance type must allow, twice during a blue/green update."""

    measured_requests_per_second: Annotated[float, Field(gt=0)]
    """What one instance carried within the latency limit, from a load test of this model."""

    safety_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of it to aim at, so that there is time to start another. Default: half, as AWS says."""

    @model_validator(mode="after")
    def _is_ordered(self) -> Autoscaling:
        if self.min_instances > self.max_instances:
            raise ValueError(
                "min_instances <= max_instances must hold, got "
                f"{self.min_instances}, {self.max_instances}"
            )
        return self

    @property
    def calls_per_minute(self) -> float:
        """Of one instance: what target tracking aims at."""
        return round(self.measured_requests_per_second * self.safety_factor * 60, 3)


class Variant(Part):
    """Another model beside the champion."""

    model_package_arn: str
    instance_type: InstanceType = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1)] = 1
    weight: Annotated[float, Field(ge=0)] = 1
    """Share of the traffic at the start, against the champion's 1; of a shadow, the share of
    requests it gets copies of. A rollout moves it afterwards. Default: 1."""


class Endpoint(Rollout):
    model_package_arn: str | None = None
    """The approved package to serve; `plinth promote` writes it. Without one nothing is served."""

    instance_type: InstanceType = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1)] = 1
    """Instances that a release starts with; two or more stand in different zones."""

    autoscaling: Autoscaling | None = None
    """Default: the count stays as it is."""

    challenger: Variant | None = None
    """A second model with a share of the traffic. Default: none."""

    shadow: Variant | None = None
    """A model that gets copies of requests and answers nobody. Default: none."""

    latency_p99_ms: Annotated[int, Field(ge=1)] = 500
    overhead_p99_ms: Annotated[int, Field(ge=1)] = 200
    capture_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _variants_fit(self) -> Endpoint:
        if self.challenger and self.shadow:
            raise ValueError("either a challenger or a shadow may stand beside the champion")
        if self.challenger and self.traffic_routing == "ROLLING":
            raise ValueError("traffic_routing ROLLING needs an endpoint without a challenger")
        scaling = self.autoscaling
        if scaling and not scaling.min_instances <= self.instance_count <= scaling.max_instances:
            raise ValueError(
                f"instance_count must be {scaling.min_instances} to {scaling.max_instances}, the "
                f"bounds of autoscaling, got {self.instance_count}"
            )
        return self


class Asynchronous(Rollout):
    """An endpoint whose requests wait in a queue; callers give and get objects in S3."""

    instance_type: InstanceType = "ml.m5.large"
    max_concurrent_invocations: Annotated[int, Field(ge=1, le=1000)] = 4
    """Requests that one instance works on at a time."""

    min_instances: Annotated[int, Field(ge=0)] = 0
    """0: nothing runs while the queue is empty, and the first request waits for minutes."""

    max_instances: Annotated[int, Field(ge=1)] = 2
    waiting_requests_per_instance: Annotated[float, Field(gt=0)] = 5
    """Length of the queue, per instance, that autoscaling aims at."""


class Serverless(Part):
    """An endpoint without instances, for callers that come now and then."""

    memory_mib: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 2048
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 5
    provisioned_concurrency: Annotated[int, Field(ge=1, le=200)] | None = None
    """Workers kept warm. Default: none, the first caller waits for a start."""

    latency_p99_ms: Annotated[int, Field(ge=1)] = 2000


class Endpoints(Part):
    """Other ways to ask the model that `plinth:endpoint` serves."""

    asynchronous: Asynchronous | None = None
    """Default: none."""

    serverless: Serverless | None = None
    """Default: none."""


class Llm(Part):
    """A language model on SageMaker; `plinth:llm_kubernetes` is the same on the cluster's GPUs."""

    model: str = "assistant"
    image_uri: Annotated[str, Field(pattern=r"@sha256:[0-9a-f]{64}$")]
    """Serving container by digest."""

    model_data_prefix: str
    """Of the uncompressed weights in the bucket of artifacts."""

    instance_type: InstanceType = "ml.g6e.2xlarge"
    min_instances: Annotated[int, Field(ge=0)] = 0
    max_instances: Annotated[int, Field(ge=1)] = 1
    gpus_per_copy: Annotated[int, Field(ge=1)] = 1
    memory_gib_per_copy: Annotated[int, Field(ge=1)] = 16
    min_copies: Annotated[int, Field(ge=0)] = 0
    """0: the last copy goes when nobody asks; then callers get errors until one is back."""

    max_copies: Annotated[int, Field(ge=1)] = 1
    calls_per_minute_per_copy: Annotated[float, Field(gt=0)] = 30
    """What one copy carries, measured."""


class Pods(Part):
    """Pods on the cluster that act as the workload."""

    team: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$")]
    """Namespace of the team that runs them."""

    service_account: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


def check_tracking(network: Network, tracking: Tracking) -> None:
    """Jobs run in the VPC; ValueError if they could not reach MLflow from there."""
    if network.nat_gateways == "none" and tracking.kind != "none":
        raise ValueError(
            "tracking.kind must be none where network.nat_gateways is none, got "
            f"{tracking.kind!r}: the pipelines' jobs reach MLflow through a NAT gateway"
        )
