"""What a case of a rule is, and the cases of the rules about serving and features.

For every rule there are programs that it passes, refuses, cannot decide and does not apply to.

Each is a call of real pulumi_aws constructors, recorded through the mock engine: a hand-written
dictionary would test our idea of the provider, not the provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from policies.rule import Status

ACCOUNT = "123456789012"
DIGEST = "sha256:" + "0" * 64
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/serving"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"

Program = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program and what one rule has to say about it."""

    rule: str
    status: Status
    program: Program
    says: str = ""
    """What the message must contain."""
    preview: bool = False
    """Whether outputs are unknown, as in a preview of resources that do not exist yet."""
    config: Mapping[str, Any] = field(default_factory=dict)


def later(value: str = "x") -> pulumi.Output[str]:
    """A value that only the cloud knows."""
    alias = aws.kms.Alias("later", target_key_id=KEY)  # no rule looks at aliases
    return alias.arn.apply(lambda arn: f"{arn}{value}")


# Serving


def configuration(
    instance_type: Any = "ml.m5.large", *, more: tuple[str, ...] = (), **changes: Any
) -> aws.sagemaker.EndpointConfiguration:
    variants: list[Any] = [
        {
            "variant_name": f"v{index}",
            "model_name": "model",
            "instance_type": each,
            "initial_instance_count": 2,
        }
        for index, each in enumerate((instance_type, *more))
    ]
    return aws.sagemaker.EndpointConfiguration(
        "configuration", name="configuration", production_variants=variants, **changes
    )


def serverless(**changes: Any) -> aws.sagemaker.EndpointConfiguration:
    shape = {"max_concurrency": 5, "memory_size_in_mb": 2048}
    variant: Any = {"variant_name": "v0", "model_name": "model", "serverless_config": shape}
    return aws.sagemaker.EndpointConfiguration(
        "configuration", name="configuration", production_variants=[variant], **changes
    )


def shadowed() -> None:
    shadow = {"variant_name": "s", "model_name": "m", "instance_type": "ml.g5.xlarge"}
    configuration(kms_key_arn=KEY, shadow_production_variants=[shadow])


def captured(**changes: Any) -> aws.sagemaker.EndpointConfiguration:
    capture = {
        "enable_capture": True,
        "initial_sampling_percentage": 20,
        "destination_s3_uri": "s3://plinth-prod-capture/endpoint",
        "kms_key_id": KEY,
        "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
    }
    return configuration(data_capture_config={**capture, **changes})


def endpoint(
    alarms: Any = ("guard",), *, watched: Any = "endpoint", named: Any = "guard", **query: Any
) -> None:
    """An endpoint, the alarms it names, and one alarm that watches something."""
    queries: Any = [query] if query else None
    alarm = aws.cloudwatch.MetricAlarm(
        "guard",
        name=named,
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        dimensions=None if query else {"EndpointName": watched},
        metric_queries=queries,
    )
    rollback = {"alarms": [{"alarm_name": alarms_of(alarm, each)} for each in alarms]}
    routing = {"type": "ALL_AT_ONCE", "wait_interval_in_seconds": 60}
    deployment: Any = {
        "auto_rollback_configuration": rollback if alarms else None,
        "blue_green_update_policy": {"traffic_routing_configuration": routing},
    }
    aws.sagemaker.Endpoint(
        "endpoint",
        name="endpoint",
        endpoint_config_name="configuration",
        deployment_config=deployment,
    )


def alarms_of(alarm: aws.cloudwatch.MetricAlarm, name: Any) -> Any:
    return alarm.arn.apply(lambda arn: arn) if name is ... else name


def guarded_by_a_query() -> None:
    metric = {"namespace": "AWS/SageMaker", "metric_name": "Invocation5XXErrors", "period": 60}
    dimensions = {"EndpointName": "endpoint"}
    endpoint(id="errors", metric={**metric, "stat": "Sum", "dimensions": dimensions})


def serverless_endpoint() -> None:
    serverless()
    endpoint(())


def component_endpoint() -> None:
    variant: Any = {
        "variant_name": "v0",
        "instance_type": "ml.g5.xlarge",
        "initial_instance_count": 1,
    }
    aws.sagemaker.EndpointConfiguration(
        "configuration", name="configuration", production_variants=[variant]
    )
    endpoint(())


def inferentia_endpoint() -> None:
    configuration("ml.inf1.xlarge")
    endpoint(())


def model(
    image: Any = f"{IMAGE}@{DIGEST}", *, others: tuple[Any, ...] = (), **changes: Any
) -> None:
    containers = [{"image": each} for each in (image, *others)]
    shape = {"containers": containers} if others else {"primary_container": containers[0]}
    aws.sagemaker.Model("model", execution_role_arn="role", **{**shape, **changes})


APPROVED = {"approved_registries": [ACCOUNT]}

SERVING = [
    Case(rule="ML-EP-001", status="pass", program=partial(configuration, kms_key_arn=KEY)),
    Case(rule="ML-EP-001", status="pass", program=partial(configuration, "ml.g5.xlarge")),
    Case(
        rule="ML-EP-001",
        status="pass",
        program=partial(configuration, "ml.p3.2xlarge", kms_key_arn=KEY),
    ),
    Case(rule="ML-EP-001", status="fail", program=configuration, says="must be set on ml.m5.large"),
    Case(
        rule="ML-EP-001",
        status="fail",
        program=partial(configuration, "ml.g5.xlarge", kms_key_arn=KEY),
        says="must be absent on ml.g5.xlarge",
    ),
    Case(rule="ML-EP-001", status="fail", program=shadowed, says="ml.g5.xlarge, ml.m5.large"),
    Case(
        rule="ML-EP-001",
        status="unknown",
        program=lambda: configuration(kms_key_arn=later()),
        preview=True,
        says="kmsKeyArn",
    ),
    Case(
        rule="ML-EP-001",
        status="unknown",
        program=lambda: configuration(later()),
        preview=True,
        says="productionVariants[0].instanceType",
    ),
    Case(
        rule="ML-EP-001",
        status="unknown",
        program=partial(configuration, "ml.zz9.large"),
        says="family 'zz9' is not in policies/tables",
    ),
    Case(rule="ML-EP-001", status="not_applicable", program=serverless, says="serverless"),
    Case(rule="ML-EP-006", status="pass", program=captured),
    Case(
        rule="ML-EP-006",
        status="pass",
        program=captured,
        config={"capture_buckets": ["plinth-prod-*"], "capture_percent_min": 20},
    ),
    Case(rule="ML-EP-006", status="fail", program=configuration, says="got none"),
    Case(
        rule="ML-EP-006",
        status="fail",
        program=partial(captured, enable_capture=False, initial_sampling_percentage=1),
        says="enableCapture must be true, got False; initialSamplingPercentage must be at least 10",
    ),
    Case(
        rule="ML-EP-006",
        status="fail",
        program=captured,
        config={"capture_buckets": ["governed-*"]},
        says="destinationS3Uri must lie in governed-*",
    ),
    Case(
        rule="ML-EP-006",
        status="fail",
        program=partial(captured, kms_key_id=None),
        says="kmsKeyId must be set",
    ),
    Case(
        rule="ML-EP-006",
        status="fail",
        program=lambda: captured(kms_key_id=later(), enable_capture=False),
        preview=True,
        says="enableCapture",
    ),
    Case(
        rule="ML-EP-006",
        status="unknown",
        program=lambda: captured(kms_key_id=later()),
        preview=True,
        says="dataCaptureConfig.kmsKeyId",
    ),
    Case(rule="ML-EP-006", status="not_applicable", program=serverless, says="serverless"),
    Case(rule="ML-EP-008", status="pass", program=endpoint),
    Case(rule="ML-EP-008", status="pass", program=guarded_by_a_query),
    Case(rule="ML-EP-008", status="pass", program=partial(endpoint, (...,)), preview=True),
    Case(rule="ML-EP-008", status="fail", program=partial(endpoint, ()), says="at least one alarm"),
    Case(
        rule="ML-EP-008",
        status="fail",
        program=partial(endpoint, ("guard", "gaurd")),
        says="gaurd do not",
    ),
    Case(
        rule="ML-EP-008",
        status="fail",
        program=partial(endpoint, watched="another"),
        says="alarm guard must watch endpoint, got another",
    ),
    Case(
        rule="ML-EP-008",
        status="unknown",
        program=lambda: endpoint(watched=later()),
        preview=True,
        says="dimensions.EndpointName",
    ),
    Case(
        rule="ML-EP-008",
        status="unknown",
        program=lambda: endpoint((later(),)),
        preview=True,
        says="alarms[0].alarmName",
    ),
    Case(rule="ML-EP-008", status="not_applicable", program=serverless_endpoint, says="serverless"),
    Case(rule="ML-EP-008", status="not_applicable", program=inferentia_endpoint, says="Inf1"),
    Case(
        rule="ML-EP-008",
        status="not_applicable",
        program=component_endpoint,
        says="inference components",
    ),
    Case(rule="ML-MD-003", status="pass", program=model, config=APPROVED),
    Case(
        rule="ML-MD-003",
        status="pass",
        program=model,
        config={"approved_registries": [f"{ACCOUNT}.dkr.ecr.*.amazonaws.com"]},
    ),
    Case(rule="ML-MD-003", status="fail", program=model, says="none is configured"),
    Case(
        rule="ML-MD-003",
        status="fail",
        program=partial(model, f"{IMAGE}:latest"),
        config=APPROVED,
        says="pinned by digest",
    ),
    Case(
        rule="ML-MD-003",
        status="fail",
        program=partial(model, others=(f"python@{DIGEST}",)),
        config=APPROVED,
        says=f"must come from {ACCOUNT}, got 'python@",
    ),
    Case(
        rule="ML-MD-003",
        status="fail",
        program=lambda: model(later(), others=(f"{IMAGE}:1",)),
        preview=True,
        config=APPROVED,
        says="serving:1",
    ),
    Case(
        rule="ML-MD-003",
        status="unknown",
        program=lambda: model(later()),
        preview=True,
        config=APPROVED,
        says="primaryContainer.image",
    ),
    Case(
        rule="ML-MD-003",
        status="not_applicable",
        program=partial(model, primary_container={"model_package_name": "package"}),
        config=APPROVED,
        says="model package",
    ),
]

# Feature groups


def feature_group(
    *, name: str = "flights", protect: bool = False, online: bool = False, **storage: Any
) -> aws.sagemaker.FeatureGroup:
    store: Any = {"s3_storage_config": {"s3_uri": "s3://bucket/features", **storage}}
    return aws.sagemaker.FeatureGroup(
        name,
        feature_group_name=name,
        record_identifier_feature_name="flight",
        event_time_feature_name="at",
        feature_definitions=[{"feature_name": "flight", "feature_type": "String"}],
        role_arn="role",
        offline_store_config=None if online else store,
        online_store_config={"enable_online_store": True},
        opts=pulumi.ResourceOptions(protect=protect),
    )


def unreadable_feature_group() -> None:
    """Offline store settings that another resource decides."""
    aws.sagemaker.FeatureGroup(
        "flights",
        feature_group_name="flights",
        record_identifier_feature_name="flight",
        event_time_feature_name="at",
        feature_definitions=[],
        role_arn="role",
        offline_store_config=later().apply(lambda _: {"s3_storage_config": {"s3_uri": "s3://b"}}),
    )


FEATURES = [
    Case(rule="ML-FS-001", status="pass", program=partial(feature_group, kms_key_id=KEY)),
    Case(rule="ML-FS-001", status="fail", program=feature_group, says="kmsKeyId must be set"),
    Case(
        rule="ML-FS-001",
        status="unknown",
        program=unreadable_feature_group,
        preview=True,
        says="offlineStoreConfig",
    ),
    Case(
        rule="ML-FS-001",
        status="not_applicable",
        program=partial(feature_group, online=True),
        says="no offline store",
    ),
    Case(rule="ML-FS-003", status="pass", program=partial(feature_group, protect=True)),
    Case(rule="ML-FS-003", status="fail", program=feature_group, says="protect must be true"),
    Case(
        rule="ML-FS-003",
        status="not_applicable",
        program=feature_group,
        config={"production": False},
        says="only production",
    ),
]
