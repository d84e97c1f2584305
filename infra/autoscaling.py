"""How many instances or copies serve, by what is asked of them: a target, a policy, a wake-up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs

Load = Literal["requests", "queue", "copies"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a load is measured by, per instance or copy."""

    scalable_dimension: str
    predefined: str = ""
    """Metric type that SageMaker offers to Application Auto Scaling. Default: `custom`."""

    custom: str = ""
    """Metric in `AWS/SageMaker` with the dimension of `waiting`."""

    waiting: str = ""
    """Metric that is above zero while requests find nobody. Default: the load cannot reach zero."""

    waiting_dimension: str = ""


METRICS: Mapping[Load, Metric] = {
    "requests": Metric(
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        predefined="SageMakerVariantInvocationsPerInstance",
    ),
    "queue": Metric(
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        custom="ApproximateBacklogSizePerInstance",
        waiting="HasBacklogWithoutCapacity",
        waiting_dimension="EndpointName",
    ),
    "copies": Metric(
        scalable_dimension="sagemaker:inference-component:DesiredCopyCount",
        predefined="SageMakerInferenceComponentInvocationsPerCopy",
        waiting="NoCapacityInvocationFailures",
        waiting_dimension="InferenceComponentName",
    ),
}
"""Developer guide: "Automatic scaling of Amazon SageMaker AI models", "Autoscale an asynchronous
endpoint", "Scale an endpoint to zero instances"."""


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs(ComponentArgs):
    """What scales, between which bounds, and how much one instance or copy carries."""

    load: Load
    subject: str
    """Endpoint or inference component, by name: names the policies and is what alarms watch."""

    resource_id: pulumi.Input[str]
    """`endpoint/<name>/variant/<variant>` or `inference-component/<name>`."""

    min_capacity: int
    """0 only where the load can wake what sleeps: a queue, or copies, whose callers get errors for
    the minutes until one is there."""

    max_capacity: int
    target_value: float
    """Of requests and copies: calls a minute that one is meant to carry, measured. Of a queue:
    requests that may wait per instance."""

    scale_in_seconds: int = 300
    """Quiet time before the next one is taken away. Default: five minutes."""

    scale_out_seconds: int = 60
    """Time before another one is added. Default: a minute."""

    alarm_topic_arn: pulumi.Input[str] | None = None
    """Hears of requests that found nobody. Default: nobody hears."""

    def __post_init__(self) -> None:
        least = 0 if METRICS[self.load].waiting else 1
        if not least <= self.min_capacity <= self.max_capacity:
            raise ValueError(
                f"{least} <= min_capacity <= max_capacity must hold for {self.subject}, "
                f"got {self.min_capacity}, {self.max_capacity}"
            )


class Autoscaling(Component):
    """Target tracking and, where it may sleep, a step that wakes it.

    It moves the live counts, which belong to the endpoint and not to its configuration, so neither
    undoes what the other did.
    """

    resource_id: pulumi.Output[str]

    scalable_dimension: str
    min_capacity: int
    max_capacity: int

    def __init__(
        self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        metric = METRICS[args.load]
        target = aws.appautoscaling.Target(
            f"{name}-target",
            service_namespace="sagemaker",
            scalable_dimension=metric.scalable_dimension,
            resource_id=args.resource_id,
            min_capacity=args.min_capacity,
            max_capacity=args.max_capacity,
            tags=self.tags("autoscaling"),
            opts=self.child,
        )
        subject: Mapping[str, Any] = {
            "service_namespace": target.service_namespace,
            "scalable_dimension": target.scalable_dimension,
            "resource_id": target.resource_id,
        }
        aws.appautoscaling.Policy(
            f"{name}-tracking",
            name=f"{args.subject}-tracking",
            policy_type="TargetTrackingScaling",
            target_tracking_scaling_policy_configuration=_tracking(args, metric),
            opts=self.child,
            **subject,
        )
        if args.min_capacity == 0:
            self._wake(args, metric, subject)
        self.resource_id = target.resource_id
        self.scalable_dimension = metric.scalable_dimension
        self.min_capacity = args.min_capacity
        self.max_capacity = args.max_capacity
        self.seal()

    def _wake(self, args: AutoscalingArgs, metric: Metric, subject: Mapping[str, Any]) -> None:
        """Target tracking divides by what runs, so from zero a step has to start the first."""
        step = aws.appautoscaling.Policy(
            f"{self.component_name}-wake",
            name=f"{args.subject}-wake",
            policy_type="StepScaling",
            step_scaling_policy_configuration={
                "adjustment_type": "ChangeInCapacity",
                "metric_aggregation_type": "Maximum",
                "cooldown": args.scale_out_seconds,
                "step_adjustments": [{"metric_interval_lower_bound": "0", "scaling_adjustment": 1}],
            },
            opts=self.child,
            **subject,
        )
        topic = [] if args.alarm_topic_arn is None else [args.alarm_topic_arn]
        aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-no-capacity",
            name=f"{args.subject}-no-capacity",
            alarm_description="Requests find nobody to answer them",
            namespace="AWS/SageMaker",
            metric_name=metric.waiting,
            statistic="Maximum",
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
            dimensions={metric.waiting_dimension: args.subject},
            alarm_actions=[step.arn, *topic],
            tags=self.tags("no-capacity"),
            opts=self.child,
        )


def _tracking(args: AutoscalingArgs, metric: Metric) -> Any:
    policy: dict[str, Any] = {
        "target_value": args.target_value,
        "scale_in_cooldown": args.scale_in_seconds,
        "scale_out_cooldown": args.scale_out_seconds,
    }
    if metric.predefined:
        given = {"predefined_metric_type": metric.predefined}
        return {**policy, "predefined_metric_specification": given}
    return {
        **policy,
        "customized_metric_specification": {
            "namespace": "AWS/SageMaker",
            "metric_name": metric.custom,
            "statistic": "Average",
            "dimensions": [{"name": metric.waiting_dimension, "value": args.subject}],
        },
    }
