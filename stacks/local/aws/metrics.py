"""Metrics of endpoints: what SageMaker publishes about every invocation, into moto's CloudWatch.

Once a second and variant, so that alarms move by themselves. Sums are exact; latencies beyond
`LATENCIES` a second are left out of percentiles.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LATENCIES = 200
"""Latencies a second and variant that are published one by one."""

NAMESPACE = "AWS/SageMaker"

COUNTED = {"ModelCacheHit": NAMESPACE, "LoadedModelCount": "/aws/sagemaker/Endpoints"}
"""Measures of multi-model endpoints that are no times -> their namespace."""


@dataclass
class Second:
    """What one variant was asked within a second."""

    calls: int = 0
    client_errors: int = 0
    server_errors: int = 0
    instances: int = 1
    model_us: list[float] = field(default_factory=list)
    overhead_us: list[float] = field(default_factory=list)


class Metrics:
    """Invocations that wait to be published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str, str], Second] = defaultdict(Second)
        self._unserved: Counter[str] = Counter()
        self._observed: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)

    def add(
        self,
        endpoint: str,
        variant: str,
        *,
        status: int,
        instances: int,
        model_seconds: float,
        overhead_seconds: float,
        component: str = "",
    ) -> None:
        """One invocation and the HTTP status of the container; 0: it did not answer.

        `component`: the inference component that was asked. Default: the variant's own model.
        """
        with self._lock:
            second = self._waiting[endpoint, variant, component]
            second.calls += 1
            second.client_errors += 400 <= status < 500
            second.server_errors += status == 0 or status >= 500
            second.instances = instances
            if len(second.model_us) < LATENCIES:
                second.model_us.append(model_seconds * 1e6)
                second.overhead_us.append(overhead_seconds * 1e6)

    def unserved(self, component: str) -> None:
        """An invocation of an inference component that has no copy."""
        with self._lock:
            self._unserved[component] += 1

    def observe(
        self, endpoint: str, variant: str, name: str, value: float, *, container: str = ""
    ) -> None:
        """A measure of a multi-model or multi-container endpoint.

        `container`: whose it is. Default: the variant's.
        """
        with self._lock:
            self._observed[endpoint, variant, container, name].append(value)

    def flush(self, cloudwatch: Any) -> None:
        """Publish what waits to moto's CloudWatch."""
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(Second)
            unserved, self._unserved = self._unserved, Counter()
            observed, self._observed = self._observed, defaultdict(list)
        for (endpoint, variant, container, name), values in observed.items():
            _publish_observed(cloudwatch, _dimensions(endpoint, variant, container), name, values)
        for component, count in unserved.items():
            _publish_component(cloudwatch, component, {"NoCapacityInvocationFailures": count})
        for (endpoint, variant, component), second in waiting.items():
            if component:
                per_copy = second.calls / second.instances
                counted = {"Invocations": second.calls, "InvocationsPerCopy": per_copy}
                _publish_component(cloudwatch, component, counted)
            dimensions = _dimensions(endpoint, variant)
            data = [{**datum, "Dimensions": dimensions} for datum in _data(second)]
            cloudwatch.put_metric_data(NAMESPACE, data)


def _dimensions(endpoint: str, variant: str, container: str = "") -> list[dict[str, str]]:
    """Dimensions of an endpoint's metrics; ContainerName where it has several containers."""
    named = {"EndpointName": endpoint, "VariantName": variant, "ContainerName": container}
    return [{"Name": name, "Value": value} for name, value in named.items() if value]


def _publish_observed(
    cloudwatch: Any, dimensions: list[dict[str, str]], name: str, values: list[float]
) -> None:
    """Developer guide, "Monitor SageMaker AI with CloudWatch": models of multi-model endpoints,
    inference pipelines; times are microseconds, what is counted has no unit."""
    datum = {
        "MetricName": name,
        "Unit": "None" if name in COUNTED else "Microseconds",
        "Values": values,
        "Dimensions": dimensions,
    }
    cloudwatch.put_metric_data(COUNTED.get(name, NAMESPACE), [datum])


def _publish_component(cloudwatch: Any, component: str, counted: Mapping[str, float]) -> None:
    """Developer guide, "Amazon SageMaker AI inference component metrics"; "Autoscaling an
    endpoint", scaling from zero copies."""
    dimensions = [{"Name": "InferenceComponentName", "Value": component}]
    for name, value in counted.items():
        datum = {"MetricName": name, "Unit": "None", "Value": value, "Dimensions": dimensions}
        cloudwatch.put_metric_data(NAMESPACE, [datum])


def _data(second: Second) -> list[dict[str, Any]]:
    """Developer guide, "Monitor SageMaker AI with CloudWatch": names, and ones and zeros."""
    counted = {
        "Invocations": second.calls,
        "Invocation4XXErrors": second.client_errors,
        "Invocation5XXErrors": second.server_errors,
        "InvocationModelErrors": second.client_errors + second.server_errors,
    }
    data: list[dict[str, Any]] = [
        {
            "MetricName": name,
            "Unit": "None",
            "StatisticValues": {
                "SampleCount": second.calls,
                "Sum": total,
                "Minimum": int(total == second.calls),
                "Maximum": int(total > 0),
            },
        }
        for name, total in counted.items()
    ]
    per_instance = second.calls / second.instances
    data.append({"MetricName": "InvocationsPerInstance", "Unit": "None", "Value": per_instance})
    for name, values in (
        ("ModelLatency", second.model_us),
        ("OverheadLatency", second.overhead_us),
    ):
        data.append({"MetricName": name, "Unit": "Microseconds", "Values": values})
    return data
