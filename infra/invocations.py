"""The two alarms of an endpoint without instances of its own to watch: errors and slow answers.

Metric names and units: SageMaker developer guide, "Monitor SageMaker AI with CloudWatch".
"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component


def invocation_alarms(
    component: Component,
    prefix: str,
    *,
    dimensions: Mapping[str, str],
    latency_p99_ms: int,
    kms_key_arn: pulumi.Input[str],
) -> tuple[aws.sns.Topic, list[aws.cloudwatch.MetricAlarm]]:
    """An encrypted topic and the alarms that tell it; their names begin with `prefix`."""
    topic = aws.sns.Topic(
        f"{component.component_name}-alarms",
        name=f"{prefix}-alarms",
        kms_master_key_id=kms_key_arn,
        tags=component.tags("alarms"),
        opts=component.child,
    )
    watches: dict[str, dict[str, Any]] = {
        "5xx": {
            "alarm_description": "The container answers with server errors",
            "metric_name": "Invocation5XXErrors",
            "statistic": "Sum",
            "threshold": 1,
        },
        "latency": {
            "alarm_description": "The slowest percent of answers is too slow",
            "metric_name": "ModelLatency",  # microseconds
            "extended_statistic": "p99",
            "threshold": latency_p99_ms * 1000,
        },
    }
    alarms = [
        aws.cloudwatch.MetricAlarm(
            f"{component.component_name}-{role}",
            name=f"{prefix}-{role}",
            namespace="AWS/SageMaker",
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            evaluation_periods=2,
            treat_missing_data="notBreaching",
            dimensions=dict(dimensions),
            alarm_actions=[topic.arn],
            tags=component.tags(role),
            opts=component.child,
            **watch,
        )
        for role, watch in watches.items()
    ]
    return topic, alarms
