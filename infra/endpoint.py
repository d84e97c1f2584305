"""A real-time endpoint: model, configuration, alarms, and the update that rolls back."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role
from infra.instances import instance_type
from infra.naming import content_hash

VARIANT = "champion"


@dataclass(frozen=True, kw_only=True)
class EndpointArgs(ComponentArgs):
    """What is served, on what, and how an update reaches callers."""

    model: str
    """What the model is for, such as `flight-delay`; names the endpoint."""

    model_package_arn: str
    """The approved model package to serve, pinned."""

    role: Role
    instance_type: str
    """SageMaker type, such as `ml.m5.large`, with a row in `infra/instances.py`."""

    instance_count: int
    kms_key_arn: pulumi.Input[str]
    alarm_key_arn: pulumi.Input[str]

    traffic_routing: Literal["ALL_AT_ONCE", "CANARY"] = "CANARY"
    """How an update moves traffic (BlueGreenUpdatePolicy). Default: canary."""

    canary_percent: int = 10
    """Share of the fleet that a canary update moves first (1 to 50). Default: 10."""

    wait_interval_seconds: int = 600
    """Baking time in which an alarm rolls the update back. Default: ten minutes."""

    latency_p99_ms: int = 500
    """Model latency above which the alarm fires. Default: half a second."""

    capture_percent: int = 0
    """Share of requests whose input and output are kept. Default: none."""

    capture_uri: str = ""
    """`s3://bucket/prefix` of what is captured. Default: nowhere."""


class Endpoint(Component):
    """An endpoint with a stable name over a model and a configuration named by their content.

    Model and configuration cannot be updated, so a change makes new ones, moves the endpoint and
    then deletes the old. The alarms exist before the endpoint that they guard.
    """

    endpoint_name: pulumi.Output[str]
    endpoint_config_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        endpoint_name = self.names.of(args.model)
        model_name = f"{endpoint_name}-{content_hash({'package': args.model_package_arn})}"
        model = aws.sagemaker.Model(
            f"{name}-model",
            name=model_name,
            execution_role_arn=args.role.arn,
            primary_container={"model_package_name": args.model_package_arn},
            enable_network_isolation=True,
            tags=self.tags("model"),
            opts=self.child,
        )
        config = self._configuration(args, endpoint_name, model)
        alarms = self._alarms(args, endpoint_name)
        endpoint = aws.sagemaker.Endpoint(
            f"{name}-endpoint",
            name=endpoint_name,
            endpoint_config_name=config.name,
            deployment_config=_deployment(args, alarms),
            tags=self.tags("endpoint"),
            opts=self.child,
        )
        self.endpoint_name = endpoint.name
        self.endpoint_config_name = config.name
        self.seal()

    def _configuration(
        self, args: EndpointArgs, endpoint_name: str, model: aws.sagemaker.Model
    ) -> aws.sagemaker.EndpointConfiguration:
        shape = {
            "package": args.model_package_arn,
            "instance_type": args.instance_type,
            "instance_count": args.instance_count,
            "capture_percent": args.capture_percent,
            "capture_uri": args.capture_uri,
        }
        has_nvme = instance_type(args.instance_type).local_nvme
        capture = aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs(
            enable_capture=True,
            initial_sampling_percentage=args.capture_percent,
            destination_s3_uri=args.capture_uri,
            kms_key_id=args.kms_key_arn,
            capture_options=[
                aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureOptionArgs(
                    capture_mode=mode
                )
                for mode in ("Input", "Output")
            ],
        )
        return aws.sagemaker.EndpointConfiguration(
            f"{self.component_name}-configuration",
            name=f"{endpoint_name}-{content_hash(shape)}",
            kms_key_arn=None if has_nvme else args.kms_key_arn,
            production_variants=[
                {
                    "variant_name": VARIANT,
                    "model_name": model.name,
                    "instance_type": args.instance_type,
                    "initial_instance_count": args.instance_count,
                    "initial_variant_weight": 1,
                }
            ],
            data_capture_config=capture if args.capture_percent else None,
            tags=self.tags("configuration"),
            opts=self.child,
        )

    def _alarms(self, args: EndpointArgs, endpoint_name: str) -> list[aws.cloudwatch.MetricAlarm]:
        topic = aws.sns.Topic(
            f"{self.component_name}-alarms",
            name=self.names.of(f"{args.model}-alarms"),
            kms_master_key_id=args.alarm_key_arn,
            tags=self.tags("alarms"),
            opts=self.child,
        )
        guard = partial(self._alarm, endpoint_name, topic)
        # Metric names and the unit of ModelLatency (microseconds): SageMaker developer guide,
        # "Monitor SageMaker AI with CloudWatch", endpoint invocation metrics
        return [
            guard(
                "5xx",
                description="The container answers with server errors",
                metric_name="Invocation5XXErrors",
                statistic="Sum",
                threshold=1,
            ),
            guard(
                "latency",
                description="The slowest percent of answers is too slow",
                metric_name="ModelLatency",
                extended_statistic="p99",
                threshold=args.latency_p99_ms * 1000,
            ),
        ]

    def _alarm(
        self,
        endpoint_name: str,
        topic: aws.sns.Topic,
        role: str,
        *,
        description: str,
        metric_name: str,
        threshold: int,
        statistic: str | None = None,
        extended_statistic: str | None = None,
    ) -> aws.cloudwatch.MetricAlarm:
        return aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-{role}",
            name=f"{endpoint_name}-{role}",
            alarm_description=description,
            namespace="AWS/SageMaker",
            metric_name=metric_name,
            statistic=statistic,
            extended_statistic=extended_statistic,
            threshold=threshold,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            evaluation_periods=2,
            treat_missing_data="notBreaching",
            dimensions={"EndpointName": endpoint_name, "VariantName": VARIANT},
            alarm_actions=[topic.arn],
            tags=self.tags(role),
            opts=self.child,
        )


def _deployment(
    args: EndpointArgs, alarms: list[aws.cloudwatch.MetricAlarm]
) -> aws.sagemaker.EndpointDeploymentConfigArgs:
    update = "EndpointDeploymentConfigBlueGreenUpdatePolicy"  # the provider's long prefix
    routing = getattr(aws.sagemaker, f"{update}TrafficRoutingConfigurationArgs")
    canary = getattr(aws.sagemaker, f"{update}TrafficRoutingConfigurationCanarySizeArgs")
    is_canary = args.traffic_routing == "CANARY"
    return aws.sagemaker.EndpointDeploymentConfigArgs(
        blue_green_update_policy=aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyArgs(
            traffic_routing_configuration=routing(
                type=args.traffic_routing,
                wait_interval_in_seconds=args.wait_interval_seconds,
                canary_size=canary(type="CAPACITY_PERCENT", value=args.canary_percent)
                if is_canary
                else None,
            ),
            termination_wait_in_seconds=args.wait_interval_seconds,
        ),
        auto_rollback_configuration=aws.sagemaker.EndpointDeploymentConfigAutoRollbackConfigurationArgs(
            alarms=[
                aws.sagemaker.EndpointDeploymentConfigAutoRollbackConfigurationAlarmArgs(
                    alarm_name=alarm.name
                )
                for alarm in alarms
            ]
        ),
    )
