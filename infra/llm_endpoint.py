"""A language model on a SageMaker endpoint, as an inference component that can sleep.

The other way to serve one is vLLM on the cluster's GPU nodes; an environment takes one of the two
and stays with it, because callers, quotas and scaling differ. This one needs no cluster and pays
by the instance; that one shares the GPUs that training has.

The provider has no inference component. AWS's Cloud Control API has (`AWS::SageMaker::
InferenceComponent`), and the provider reaches that, so nothing here is a script beside the stack.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role
from infra.instances import instance_type
from infra.invocations import invocation_alarms
from infra.naming import content_hash

VARIANT = "instances"


@dataclass(frozen=True, kw_only=True)
class LlmEndpointArgs(ComponentArgs):
    """The model, what one copy of it needs, and how many instances there may be."""

    model: str
    """What it is called, such as `assistant`; names the endpoint."""

    image_uri: str
    """Serving container by digest, such as AWS's Large Model Inference image mirrored to your
    registry."""

    model_data_uri: str
    """`s3://bucket/prefix/` of the uncompressed weights."""

    role: Role
    kms_key_arn: pulumi.Input[str]
    alarm_key_arn: pulumi.Input[str]
    instance_type: str
    """SageMaker type with GPUs."""

    max_instances: int
    min_instances: int = 0
    """0: the instances go with the last copy. Default: 0."""

    gpus_per_copy: int = 1
    memory_gib_per_copy: int = 16
    initial_copies: int = 1
    """Copies at creation; autoscaling moves them afterwards. Default: 1."""

    startup_seconds: int = 900
    """Time to load the weights before a copy counts as failed. Default: fifteen minutes."""

    latency_p99_ms: int = 60_000
    """Time of the slowest percent of answers that calls a new version back. Default: a minute."""

    wait_interval_seconds: int = 600
    """Baking time after each batch of copies (0 to 3600). Default: ten minutes."""

    capture_percent: int = 0
    capture_uri: str = ""
    """Share of requests that is kept, and `s3://bucket/prefix` of it. Default: nothing is kept."""

    def __post_init__(self) -> None:
        gpus = instance_type(self.instance_type).gpus
        if not 1 <= self.gpus_per_copy <= gpus:
            raise ValueError(
                f"gpus_per_copy must be 1 to the {gpus} of {self.instance_type}, "
                f"got {self.gpus_per_copy}"
            )
        if not 0 <= self.min_instances <= self.max_instances:
            raise ValueError(
                "0 <= min_instances <= max_instances must hold, got "
                f"{self.min_instances}, {self.max_instances}"
            )


class LlmEndpoint(Component):
    """An endpoint whose instances come and go with the copies of one inference component.

    A new version replaces the copies one by one and goes back on an alarm: guardrails of the
    component, because those of the endpoint move whole fleets.
    """

    endpoint_name: pulumi.Output[str]
    inference_component_name: pulumi.Output[str]
    alarm_topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: LlmEndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self.component_id = self.names.of(args.model)
        endpoint = self._endpoint(args)
        model = self._model(args)
        # metrics of inference components carry their name, not the endpoint's
        topic, alarms = invocation_alarms(
            self,
            self.component_id,
            dimensions={"InferenceComponentName": self.component_id},
            latency_p99_ms=args.latency_p99_ms,
            kms_key_arn=args.alarm_key_arn,
        )
        self.alarm_topic_arn = topic.arn
        component = aws.cloudcontrol.Resource(
            f"{name}-component",
            type_name="AWS::SageMaker::InferenceComponent",
            desired_state=pulumi.Output.json_dumps(
                {
                    "EndpointName": endpoint.name,
                    "InferenceComponentName": self.component_id,
                    "VariantName": VARIANT,
                    "RuntimeConfig": {"CopyCount": args.initial_copies},
                    "Specification": {"ModelName": model.name, **self._needs(args)},
                    "DeploymentConfig": {
                        "AutoRollbackConfiguration": {
                            "Alarms": [{"AlarmName": alarm.name} for alarm in alarms]
                        },
                        "RollingUpdatePolicy": {
                            "MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1},
                            "WaitIntervalInSeconds": args.wait_interval_seconds,
                        },
                    },
                    "Tags": [
                        {"Key": key, "Value": value}
                        for key, value in sorted(self.tags("component").items())
                    ],
                },
                sort_keys=True,
            ),
            opts=self.child,
        )
        self.endpoint_name = endpoint.name
        self.inference_component_name = component.id.apply(lambda _: self.component_id)
        self.seal()

    @staticmethod
    def _needs(args: LlmEndpointArgs) -> dict[str, object]:
        """What one copy of the model takes of an instance, and how long it may take to start."""
        return {
            "ComputeResourceRequirements": {
                "NumberOfAcceleratorDevicesRequired": args.gpus_per_copy,
                "MinMemoryRequiredInMb": args.memory_gib_per_copy * 1024,
            },
            "StartupParameters": {
                "ModelDataDownloadTimeoutInSeconds": args.startup_seconds,
                "ContainerStartupHealthCheckTimeoutInSeconds": args.startup_seconds,
            },
        }

    def _capture(
        self, args: LlmEndpointArgs
    ) -> aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs | None:
        if not args.capture_percent:
            return None
        option = aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureOptionArgs
        return aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs(
            enable_capture=True,
            initial_sampling_percentage=args.capture_percent,
            destination_s3_uri=args.capture_uri,
            kms_key_id=args.kms_key_arn,
            capture_options=[option(capture_mode=mode) for mode in ("Input", "Output")],
        )

    def _model(self, args: LlmEndpointArgs) -> aws.sagemaker.Model:
        content = {"image": args.image_uri, "model_data": args.model_data_uri}
        return aws.sagemaker.Model(
            f"{self.component_name}-model",
            name=f"{self.component_id}-{content_hash(content)}",
            execution_role_arn=args.role.arn,
            primary_container={
                "image": args.image_uri,
                "model_data_source": {
                    "s3_data_sources": [
                        {
                            "s3_uri": args.model_data_uri,
                            "s3_data_type": "S3Prefix",
                            "compression_type": "None",
                        }
                    ]
                },
            },
            enable_network_isolation=True,
            tags=self.tags("model"),
            opts=self.child,
        )

    def _endpoint(self, args: LlmEndpointArgs) -> aws.sagemaker.Endpoint:
        content = {
            "instance_type": args.instance_type,
            "min_instances": args.min_instances,
            "max_instances": args.max_instances,
            "capture_percent": args.capture_percent,
            "capture_uri": args.capture_uri,
        }
        config = aws.sagemaker.EndpointConfiguration(
            f"{self.component_name}-configuration",
            name=f"{self.component_id}-{content_hash(content)}",
            execution_role_arn=args.role.arn,
            kms_key_arn=(
                None if instance_type(args.instance_type).local_nvme else args.kms_key_arn
            ),
            production_variants=[
                {
                    "variant_name": VARIANT,
                    "instance_type": args.instance_type,
                    "initial_instance_count": max(1, args.min_instances),
                    "managed_instance_scaling": {
                        "status": "ENABLED",
                        "min_instance_count": args.min_instances,
                        "max_instance_count": args.max_instances,
                    },
                    "routing_configs": [{"routing_strategy": "LEAST_OUTSTANDING_REQUESTS"}],
                }
            ],
            data_capture_config=self._capture(args),
            tags={"workload": args.model, **self.tags("configuration")},
            opts=self.child,
        )
        return aws.sagemaker.Endpoint(
            f"{self.component_name}-endpoint",
            name=self.component_id,
            endpoint_config_name=config.name,
            tags=self.tags("endpoint"),
            opts=self.child,
        )
