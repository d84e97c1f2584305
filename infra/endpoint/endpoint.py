"""An endpoint on instances: models, configuration, alarms, and the update that rolls back."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, network_interfaces
from infra.endpoint.alarms import WATCHES, AlarmLimits, Watch
from infra.endpoint.rollout import Rollout, deployment_config
from infra.endpoint.variants import Asynchronous, Capture, Subnets, VariantSpec
from infra.instances import instance_type
from infra.naming import content_hash

SHADOW = "shadow"


@dataclass(frozen=True, kw_only=True)
class EndpointArgs(ComponentArgs):
    """What is served, on what, and how an update reaches callers."""

    model: str
    """What the endpoint is for, such as `realtime`; names it."""

    variants: Mapping[str, VariantSpec]
    """Models that share the traffic, by name. The first is the one in charge.

    Weights and instance counts are what a new configuration starts with. What a rollout or
    autoscaling makes of them afterwards is kept by the endpoint, which `up` leaves alone while the
    configuration stays the same; a release starts anew, because the provider does not offer
    RetainAllVariantProperties. So `instance_count` is what a release must carry.
    """

    role: Role
    kms_key_arn: pulumi.Input[str]
    alarm_key_arn: pulumi.Input[str]

    shadow: VariantSpec | None = None
    """A model that gets copies of requests and answers nobody; needs exactly one variant.
    Default: none."""

    rollout: Rollout = field(default_factory=Rollout)
    """Default: a canary."""

    limits: AlarmLimits = field(default_factory=AlarmLimits)
    """Default: half a second for the model, a fifth for SageMaker."""

    capture: Capture | None = None
    """Default: nothing is kept."""

    subnets: Subnets | None = None
    """Where the containers reach the network from; they are isolated from it all the same, so this
    is what brings the model to them. Default: SageMaker's own network."""

    asynchronous: Asynchronous | None = None
    """Queue requests and write answers to S3. Default: callers wait for their answers."""

    def __post_init__(self) -> None:
        names = ", ".join(self.variants) or "none"
        if not self.variants:
            raise ValueError(f"variants of {self.model} must have at least one, got {names}")
        if self.shadow is not None and (len(self.variants) > 1 or SHADOW in self.variants):
            raise ValueError(f"a shadow of {self.model} needs exactly one variant, got {names}")
        if self.rollout.traffic_routing == "ROLLING" and len(self.variants) > 1:
            raise ValueError(f"a rolling update of {self.model} needs one variant, got {names}")


class Endpoint(Component):
    """An endpoint with a stable name over models and a configuration named by their content.

    Models and configurations cannot be updated, so a change makes new ones, moves the endpoint and
    then deletes the old. The alarms exist before the endpoint that they guard.
    """

    endpoint_name: pulumi.Output[str]
    endpoint_config_name: pulumi.Output[str]
    alarm_topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        self._name = self.names.of(args.model)
        self._champion = next(iter(args.variants))
        may_act = self._grants()
        self._topics = self._answer_topics() if args.asynchronous else {}
        config = self._configuration(may_act)
        alarms = self._alarms()
        endpoint = aws.sagemaker.Endpoint(
            f"{name}-endpoint",
            name=self._name,
            endpoint_config_name=config.name,
            deployment_config=deployment_config(args.rollout, [alarm.name for alarm in alarms]),
            tags=self.tags("endpoint"),
            opts=self.child,
        )
        self.endpoint_name = endpoint.name
        self.endpoint_config_name = config.name
        self.seal()

    def _all_variants(self) -> Iterator[tuple[str, VariantSpec]]:
        yield from self._args.variants.items()
        if self._args.shadow is not None:
            yield SHADOW, self._args.shadow

    def _part(self, variant: str, role: str) -> str:
        """The champion's parts carry the role alone, so that others may come and go."""
        return role if variant == self._champion else f"{variant}-{role}"

    def _models(self, may_act: list[pulumi.Resource]) -> dict[str, aws.sagemaker.Model]:
        args, models = self._args, {}
        for variant, spec in self._all_variants():
            content: dict[str, Any] = {"package": spec.model_package_arn}
            vpc: aws.sagemaker.ModelVpcConfigArgs | None = None
            if args.subnets is not None:
                content["cidr_block"] = args.subnets.cidr_block
                vpc = aws.sagemaker.ModelVpcConfigArgs(
                    subnets=args.subnets.subnet_ids,
                    security_group_ids=list(args.subnets.security_group_ids),
                )
            role = self._part(variant, "model")
            own = "" if variant == self._champion else f"-{variant}"
            models[variant] = aws.sagemaker.Model(
                f"{self.component_name}-{role}",
                name=f"{self._name}{own}-{content_hash(content)}",
                execution_role_arn=args.role.arn,
                primary_container={"model_package_name": spec.model_package_arn},
                enable_network_isolation=True,
                vpc_config=vpc,
                tags=self.tags(role),
                opts=pulumi.ResourceOptions(parent=self, depends_on=may_act),
            )
        return models

    def _content(self) -> dict[str, Any]:
        """Everything that a configuration is made of: its name follows from it."""
        args = self._args
        champion = args.variants[self._champion]
        others = {
            "variants": {n: asdict(v) for n, v in args.variants.items() if n != self._champion},
            "shadow": args.shadow and asdict(args.shadow),
            "asynchronous": args.asynchronous and asdict(args.asynchronous),
            "cidr_block": args.subnets and args.subnets.cidr_block,
            "weight": champion.weight if champion.weight != 1 else None,
        }
        return {
            "package": champion.model_package_arn,
            "instance_type": champion.instance_type,
            "instance_count": champion.instance_count,
            "capture_percent": args.capture.percent if args.capture else 0,
            "capture_uri": args.capture.uri if args.capture else "",
            **{key: value for key, value in others.items() if value},
        }

    def _configuration(self, may_act: list[pulumi.Resource]) -> aws.sagemaker.EndpointConfiguration:
        args, models = self._args, self._models(may_act)
        entries: dict[str, Any] = {
            variant: {
                "variant_name": variant,
                "model_name": models[variant].name,
                "instance_type": spec.instance_type,
                "initial_instance_count": spec.instance_count,
                "initial_variant_weight": spec.weight,
            }
            for variant, spec in self._all_variants()
        }
        shadow = entries.pop(SHADOW, None) if args.shadow else None
        return aws.sagemaker.EndpointConfiguration(
            f"{self.component_name}-configuration",
            name=f"{self._name}-{content_hash(self._content())}",
            kms_key_arn=self._volume_key(),
            production_variants=list(entries.values()),
            shadow_production_variants=[shadow] if shadow else None,
            async_inference_config=self._async_config(),
            data_capture_config=self._capture_config(),
            tags={"workload": self._args.model, **self.tags("configuration")},
            opts=self.child,
        )

    def _volume_key(self) -> pulumi.Input[str] | None:
        """No key fits instances with local NVMe: SageMaker refuses the configuration."""
        types = {spec.instance_type for _, spec in self._all_variants()}
        nvme = {instance_type(name).local_nvme for name in types}
        if len(nvme) > 1:
            raise ValueError(
                f"variants of {self._args.model} must all have local NVMe or none, so that one "
                f"volume key fits, got {', '.join(sorted(types))}"
            )
        return None if nvme == {True} else self._args.kms_key_arn

    def _capture_config(self) -> aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs | None:
        capture = self._args.capture
        if capture is None:
            return None
        option = aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureOptionArgs
        return aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs(
            enable_capture=True,
            initial_sampling_percentage=capture.percent,
            destination_s3_uri=capture.uri,
            kms_key_id=self._args.kms_key_arn,
            capture_options=[option(capture_mode=mode) for mode in ("Input", "Output")],
        )

    def _async_config(self) -> Any:
        asynchronous = self._args.asynchronous
        if asynchronous is None:
            return None
        return {
            "client_config": {
                "max_concurrent_invocations_per_instance": asynchronous.max_concurrent_invocations
            },
            "output_config": {
                "s3_output_path": asynchronous.output_uri,
                "s3_failure_path": asynchronous.failure_uri,
                "kms_key_id": self._args.kms_key_arn,
                "notification_config": {
                    "success_topic": self._topics["succeeded"].arn,
                    "error_topic": self._topics["failed"].arn,
                },
            },
        }

    def _topic(self, role: str) -> aws.sns.Topic:
        return aws.sns.Topic(
            f"{self.component_name}-{role}",
            name=self.names.of(f"{self._args.model}-{role}"),
            kms_master_key_id=self._args.alarm_key_arn,
            tags=self.tags(role),
            opts=self.child,
        )

    def _answer_topics(self) -> dict[str, aws.sns.Topic]:
        """Who waits for an answer hears of it here."""
        topics = {role: self._topic(role) for role in ("succeeded", "failed")}
        arns = [topic.arn for topic in topics.values()]
        self.grant(self._args.role, "notify", [{"Action": ["sns:Publish"], "Resource": arns}])
        return topics

    def _alarms(self) -> list[aws.cloudwatch.MetricAlarm]:
        """An alarm per variant and watch; returns those that call an update back."""
        topic = self._topic("alarms")
        self.alarm_topic_arn = topic.arn
        guards = []
        for variant, spec in self._all_variants():
            for role, watch in WATCHES.items():
                threshold = watch.threshold(self._args.limits, spec)
                if threshold == 0:
                    continue
                alarm = self._alarm(topic, variant, self._part(variant, role), watch, threshold)
                if watch.rolls_back and variant in self._args.variants:
                    guards.append(alarm)
        return guards

    def _alarm(
        self, topic: aws.sns.Topic, variant: str, role: str, watch: Watch, threshold: int
    ) -> aws.cloudwatch.MetricAlarm:
        return aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-{role}",
            name=f"{self._name}-{role}",
            alarm_description=watch.description,
            namespace=watch.namespace,
            metric_name=watch.metric_name,
            statistic=watch.statistic,
            extended_statistic=watch.extended_statistic,
            threshold=threshold,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            evaluation_periods=watch.periods,
            treat_missing_data="notBreaching",
            dimensions={"EndpointName": self._name, "VariantName": variant},
            alarm_actions=[topic.arn],
            tags=self.tags(role),
            opts=self.child,
        )

    def _grants(self) -> list[pulumi.Resource]:
        """What SageMaker does as the endpoint's role before a container runs."""
        args = self._args
        alarms = self.names.arn("cloudwatch", f"alarm:{self._name}-*")
        watch = {"Action": ["cloudwatch:DescribeAlarms"], "Resource": [alarms]}
        granted = [self.grant(args.role, "watch", [watch])]
        if args.subnets is not None:
            subnets = args.subnets
            attach = network_interfaces(self.names, subnets.subnet_ids, subnets.security_group_ids)
            granted.append(self.grant(args.role, "attach", attach))
        return granted
