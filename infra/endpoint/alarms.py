"""What is watched on every variant of an endpoint, as a table.

Metric names, dimensions and units: SageMaker developer guide, "Monitor SageMaker AI with
CloudWatch". Latencies are in microseconds; CPUUtilization adds up the cores, GPUUtilization the
GPUs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.endpoint.variants import VariantSpec
from infra.instances import instance_type

INVOCATIONS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"
BUSY_PERCENT = 90


@dataclass(frozen=True, kw_only=True)
class AlarmLimits:
    """What is too slow or too full."""

    latency_p99_ms: int = 500
    """Time the model takes for the slowest percent of answers. Default: half a second."""

    overhead_p99_ms: int = 200
    """Time SageMaker adds to it. Default: a fifth of a second."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One alarm of a variant."""

    description: str
    metric_name: str
    threshold: Callable[[AlarmLimits, VariantSpec], int]
    """Reached or exceeded, the alarm fires. 0: the variant has nothing to watch there."""

    namespace: str = INVOCATIONS
    statistic: str | None = None
    extended_statistic: str | None = None
    periods: int = 2
    """Minutes in a row. Default: two."""

    rolls_back: bool = False
    """Whether it calls an update back. Default: it only tells."""


WATCHES: Mapping[str, Watch] = {
    "5xx": Watch(
        description="The container answers with server errors",
        metric_name="Invocation5XXErrors",
        statistic="Sum",
        threshold=lambda limits, variant: 1,
        rolls_back=True,
    ),
    "latency": Watch(
        description="The slowest percent of answers is too slow",
        metric_name="ModelLatency",
        extended_statistic="p99",
        threshold=lambda limits, variant: limits.latency_p99_ms * 1000,
        rolls_back=True,
    ),
    "overhead": Watch(
        description="SageMaker adds too much to the model's own time",
        metric_name="OverheadLatency",
        extended_statistic="p99",
        threshold=lambda limits, variant: limits.overhead_p99_ms * 1000,
        periods=5,
    ),
    "cpu": Watch(
        description="The processors are busy",
        namespace=INSTANCES,
        metric_name="CPUUtilization",
        statistic="Average",
        threshold=lambda limits, variant: BUSY_PERCENT * instance_type(variant.instance_type).vcpus,
        periods=5,
    ),
    "gpu": Watch(
        description="The GPUs are busy",
        namespace=INSTANCES,
        metric_name="GPUUtilization",
        statistic="Average",
        threshold=lambda limits, variant: BUSY_PERCENT * instance_type(variant.instance_type).gpus,
        periods=5,
    ),
    "gpu-memory": Watch(
        description="The memory of the GPUs is nearly full",
        namespace=INSTANCES,
        metric_name="GPUMemoryUtilization",
        statistic="Maximum",
        threshold=lambda limits, variant: BUSY_PERCENT * instance_type(variant.instance_type).gpus,
    ),
    "disk": Watch(
        description="The disk is nearly full, and capture stops before it is",
        namespace=INSTANCES,
        metric_name="DiskUtilization",
        statistic="Maximum",
        threshold=lambda limits, variant: BUSY_PERCENT,
    ),
}
"""Role of the alarm in its name -> what it watches."""
