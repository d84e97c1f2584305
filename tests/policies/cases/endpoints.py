"""Programs for the rules about endpoints and what stands around them; see case.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pulumi_aws as aws

from tests.policies.cases.case import KEY, captured, later, serverless
from tests.policies.cases.serving import STAGING, components, fails, passes, skips, unknown, variant

NAME = "endpoint"
RESOURCE_ID = f"endpoint/{NAME}/variant/v0"


def endpoint(**changes: Any) -> aws.sagemaker.Endpoint:
    shape = {"endpoint_config_name": "configuration", "name": NAME, **changes}
    return aws.sagemaker.Endpoint("endpoint", **shape)


def target(low: Any = 1, high: Any = 4, *, resource_id: Any = RESOURCE_ID, **changes: Any) -> None:
    shape = {
        "service_namespace": "sagemaker",
        "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
        "resource_id": resource_id,
        "min_capacity": low,
        "max_capacity": high,
        **changes,
    }
    aws.appautoscaling.Target("target", **shape)


def policy(resource_id: Any = RESOURCE_ID, **changes: Any) -> aws.appautoscaling.Policy:
    shape = {
        "name": "policy",
        "policy_type": "TargetTrackingScaling",
        "resource_id": resource_id,
        "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
        "service_namespace": "sagemaker",
        **changes,
    }
    return aws.appautoscaling.Policy("policy", **shape)


def scaled(
    low: Any = 1, high: Any = 4, *, resource_id: Any = RESOURCE_ID, policies: bool = True
) -> None:
    variant()
    endpoint()
    target(low, high, resource_id=resource_id)
    if policies:
        policy(resource_id)


def scaled_by_reference() -> None:
    """An endpoint whose name the provider makes up, and a target that follows it."""
    variant()
    made = endpoint(name=later())
    path = made.name.apply(lambda name: f"endpoint/{name}/variant/v0")
    target(resource_id=path)
    policy(path)


def sized(count: int = 2, instance_type: str = "ml.m5.large") -> None:
    variant(instance_type, count=count)
    endpoint()


def hosting(least: int = 0, *, wake: str = "StepScaling", called: bool = True) -> None:
    """Inference components on instances, what wakes them, and the alarm that calls it."""
    components(least=least)
    endpoint()
    step = policy(
        "inference-component/c",
        policy_type=wake,
        scalable_dimension="sagemaker:inference-component:DesiredCopyCount",
    )
    alarm("NoCapacityInvocationFailures", actions=[step.arn] if called else [])


def queued(low: Any = 0) -> None:
    asynchronous_gpu()
    endpoint()
    target(low)


def asynchronous_gpu() -> None:
    output = {"s3_output_path": "s3://answers/a", "kms_key_id": KEY}
    variant("ml.g5.xlarge", async_inference_config={"output_config": output})


def serverless_one() -> None:
    serverless()
    endpoint()


def elsewhere() -> None:
    endpoint(endpoint_config_name="of-another-stack")


def alarm(
    metric: str, *, actions: Any = ("topic",), dimensions: Any = None, name: str = "alarm"
) -> None:
    aws.cloudwatch.MetricAlarm(
        name,
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        metric_name=metric,
        dimensions=dimensions or {"EndpointName": NAME},
        alarm_actions=list(actions),
    )


def watched(
    metrics: Sequence[str] = ("Invocation5XXErrors", "ModelLatency"),
    *,
    instance_type: str = "ml.m5.large",
    **changes: Any,
) -> None:
    variant(instance_type)
    endpoint()
    for metric in metrics:
        alarm(metric, name=metric, **changes)


def watched_component(name: str = "c") -> None:
    components()
    endpoint()
    aws.cloudcontrol.Resource(
        "component",
        type_name="AWS::SageMaker::InferenceComponent",
        desired_state=json.dumps({"EndpointName": NAME, "InferenceComponentName": "c"}),
    )
    for metric in ("Invocation5XXErrors", "ModelLatency"):
        alarm(metric, name=metric, dimensions={"InferenceComponentName": name})


GPU_WATCHES = ("Invocation5XXErrors", "ModelLatency", "GPUMemoryUtilization")


def monitored(
    subject: Any = NAME, *, inline: bool = True, capture: bool = True, **changes: Any
) -> None:
    captured(enable_capture=capture)
    endpoint()
    source = {"endpoint_input": {"endpoint_name": subject}}
    if inline:
        config: Any = {"monitoring_job_definition": {"monitoring_inputs": source, **changes}}
    else:
        definition({"endpoint_input": {"endpoint_name": subject}})
        config = {"monitoring_job_definition_name": "definition"}
    config["monitoring_type"] = "DataQuality"
    aws.sagemaker.MonitoringSchedule("schedule", name="schedule", monitoring_schedule_config=config)


def definition(source: Any) -> None:
    aws.sagemaker.DataQualityJobDefinition(
        "definition",
        name="definition",
        role_arn="role",
        data_quality_app_specification={"image_uri": "image"},
        data_quality_job_input=source,
        data_quality_job_output_config={
            "monitoring_outputs": {"s3_output": {"s3_uri": "s3://reports/x"}}
        },
        job_resources={
            "cluster_config": {
                "instance_count": 1,
                "instance_type": "ml.m5.large",
                "volume_size_in_gb": 20,
            }
        },
    )


JOB = "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob"


def compared(name: str = NAME, arn: Any = JOB) -> None:
    captured()
    endpoint()
    request = {"AppSpecification": {"ContainerArguments": ["--endpoint-name", name]}}
    aws.scheduler.Schedule(
        "drift",
        schedule_expression="rate(1 day)",
        flexible_time_window={"mode": "OFF"},
        target={"arn": arn, "role_arn": "role", "input": json.dumps(request)},
    )


def captured_by_a_queue() -> None:
    capture = {
        "initial_sampling_percentage": 20,
        "destination_s3_uri": "s3://plinth-prod-capture/endpoint",
        "capture_options": [{"capture_mode": "Input"}],
        "enable_capture": True,
    }
    output = {"s3_output_path": "s3://answers/a"}
    variant(data_capture_config=capture, async_inference_config={"output_config": output})
    endpoint()


def released(kind: Any = "CANARY", wait: int = 600, stays: int | None = 600) -> None:
    variant()
    routing = {"type": kind, "wait_interval_in_seconds": wait}
    blue_green = {"traffic_routing_configuration": routing, "termination_wait_in_seconds": stays}
    endpoint(deployment_config={"blue_green_update_policy": blue_green})


def rolling() -> None:
    variant()
    batch = {"type": "CAPACITY_PERCENT", "value": 25}
    update = {"maximum_batch_size": batch, "wait_interval_in_seconds": 600}
    endpoint(deployment_config={"rolling_update_policy": update})


def rolled_out_by_component() -> None:
    components()
    endpoint()


ENDPOINTS = [
    passes("ML-EP-003", scaled),
    passes("ML-EP-003", scaled_by_reference, preview=True),
    passes("ML-EP-003", hosting),
    fails("ML-EP-003", sized, "must have a scalable target, got none"),
    fails("ML-EP-003", partial(sized, 1, "ml.g5.xlarge"), "must have a scalable target"),
    fails("ML-EP-003", partial(scaled, policies=False), "must have a policy"),
    fails("ML-EP-003", partial(scaled, 4, 4), "minCapacity must be below maxCapacity, got 4, 4"),
    fails(
        "ML-EP-003",
        partial(scaled, resource_id="endpoint/endpoint2/variant/v0"),
        "must have a scalable target",
    ),
    fails("ML-EP-003", partial(hosting, 2), "minInstanceCount must be below maxInstanceCount"),
    unknown("ML-EP-003", lambda: scaled(resource_id=later()), "target.resourceId"),
    skips("ML-EP-003", serverless_one, "neither GPUs nor several"),
    skips("ML-EP-003", partial(sized, 1), "neither GPUs nor several"),
    skips("ML-EP-003", elsewhere, "not in this stack"),
    skips("ML-EP-003", sized, "outside production", config=STAGING),
    passes("ML-EP-004", queued, config=STAGING),
    passes("ML-EP-004", hosting, config=STAGING),
    passes(
        "ML-EP-004",
        lambda: (variant("ml.g5.xlarge"), endpoint(tags={"expires": "2026-01-31"})),
        config=STAGING,
    ),
    fails("ML-EP-004", partial(queued, 1), "minCapacity 0", config=STAGING),
    fails(
        "ML-EP-004",
        lambda: (
            variant(
                "ml.g5.xlarge",
                changed={
                    "managed_instance_scaling": {
                        "status": "ENABLED",
                        "min_instance_count": 0,
                        "max_instance_count": 1,
                    }
                },
            ),
            endpoint(),
        ),
        "a variant that names its model cannot reach zero",
        config=STAGING,
    ),
    fails("ML-EP-004", partial(hosting, 1), "minInstanceCount must be 0", config=STAGING),
    fails("ML-EP-004", partial(hosting, wake="TargetTrackingScaling"), "woken by", config=STAGING),
    fails("ML-EP-004", partial(hosting, called=False), "woken by", config=STAGING),
    unknown(
        "ML-EP-004",
        lambda: (variant("ml.g5.xlarge"), endpoint(tags={"expires": later()})),
        "tags.expires",
        config=STAGING,
    ),
    skips("ML-EP-004", sized, "no GPUs", config=STAGING),
    skips("ML-EP-004", queued, "production answers at once"),
    passes("ML-EP-005", target),
    fails("ML-EP-005", partial(target, 1, 21), "maxCapacity must be at most 20, got 21"),
    fails("ML-EP-005", target, "at most 2, got 4", config={"endpoint_capacity_max": 2}),
    fails(
        "ML-EP-005",
        partial(target, suspended_state={"dynamic_scaling_in_suspended": True}),
        "got dynamicScalingInSuspended",
    ),
    unknown("ML-EP-005", lambda: target(1, later().apply(lambda _: 4)), "maxCapacity"),
    skips("ML-EP-005", partial(target, service_namespace="dynamodb"), "something else"),
    passes("ML-EP-007", monitored),
    passes("ML-EP-007", partial(monitored, inline=False)),
    passes("ML-EP-007", compared),
    fails("ML-EP-007", partial(monitored, "another"), "a schedule must monitor endpoint"),
    fails("ML-EP-007", partial(monitored, "another", inline=False), "must monitor endpoint"),
    fails("ML-EP-007", partial(compared, "endpoint-2"), "must monitor endpoint"),
    fails("ML-EP-007", partial(compared, arn="arn:aws:lambda:::function:f"), "must monitor"),
    unknown("ML-EP-007", lambda: monitored(later()), "endpointName"),
    skips("ML-EP-007", partial(monitored, capture=False), "captures nothing"),
    skips("ML-EP-007", captured_by_a_queue, "this kind of endpoint"),
    skips("ML-EP-007", elsewhere, "not in this stack"),
    skips("ML-EP-007", partial(monitored, "another"), "outside production", config=STAGING),
    passes("ML-EP-009", released),
    passes("ML-EP-009", partial(released, "LINEAR", 60, 120)),
    passes("ML-EP-009", rolling),
    fails("ML-EP-009", partial(released, "ALL_AT_ONCE"), "rolling, got ALL_AT_ONCE"),
    fails("ML-EP-009", partial(released, stays=300), "at least the interval of 600, got 300"),
    fails("ML-EP-009", partial(released, stays=None), "at least the interval of 600, got 0"),
    fails("ML-EP-009", sized, "rolling, got None"),
    unknown("ML-EP-009", lambda: released(later()), "type"),
    skips("ML-EP-009", serverless_one, "serverless"),
    skips("ML-EP-009", rolled_out_by_component, "inference components"),
    skips("ML-EP-009", partial(released, "ALL_AT_ONCE"), "outside production", config=STAGING),
    passes("ML-EP-010", watched),
    passes("ML-EP-010", partial(watched, GPU_WATCHES, instance_type="ml.g5.xlarge")),
    passes("ML-EP-010", watched_component),
    passes("ML-EP-010", lambda: watched(actions=[later()]), preview=True),
    fails("ML-EP-010", partial(watched, GPU_WATCHES[:1]), "must watch ModelLatency, got none"),
    fails("ML-EP-010", partial(watched, actions=()), "Invocation5XXErrors, got none; an alarm"),
    fails("ML-EP-010", partial(watched, instance_type="ml.g5.xlarge"), "GPUMemoryUtilization"),
    fails("ML-EP-010", partial(watched, dimensions={"EndpointName": "other"}), "got none"),
    fails("ML-EP-010", partial(watched_component, "other"), "ModelLatency, got none"),
    unknown("ML-EP-010", lambda: watched(dimensions={"EndpointName": later()}), "dimensions"),
    skips("ML-EP-010", elsewhere, "not in this stack"),
    skips("ML-EP-010", sized, "outside production", config=STAGING),
]
