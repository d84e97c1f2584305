"""The life of a model: registry, tracking, training pipeline, endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.access import RoleSpec
from infra.endpoint import Endpoint, EndpointArgs
from infra.registry import Registry, RegistryArgs
from infra.tracking import Tracking, TrackingArgs
from infra.workflow import Workflow, WorkflowArgs
from stacks import workload
from stacks.composition.foundation import BUCKETS, Foundation
from stacks.settings import Settings

KEY_PURPOSES = ("serving",)
SAGEMAKER = "sagemaker.amazonaws.com"


@dataclass(frozen=True)
class Models:
    """What the other domains and the stack's outputs refer to."""

    registry: Registry
    tracking: Tracking
    workflow: Workflow
    endpoint: Endpoint | None
    """None until a model package is pinned."""


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who runs jobs, pipelines, endpoints and the tracking app."""
    purposes = ("job", "pipeline", "serving", "tracking")
    return {purpose: RoleSpec(service=SAGEMAKER) for purpose in purposes}


def build(
    base: Foundation,
    settings: Settings,
    definitions: Mapping[str, str],
    depends_on: list[pulumi.Resource],
) -> Models:
    """Build the registry, the tracking app, the pipeline and, for a pinned model, the endpoint."""
    registry = _registry(base, settings)
    tracking = _tracking(base)
    workflow = _workflow(base, settings, tracking, definitions, [*depends_on, registry])
    return Models(registry, tracking, workflow, _endpoint(base, settings, registry))


def _registry(base: Foundation, settings: Settings) -> Registry:
    registry = Registry(
        "registry",
        RegistryArgs(
            names=base.common.names,
            tags=base.common.tags,
            model=workload.MODEL,
            description=workload.MODEL_DESCRIPTION,
            kms_key_arn=base.keys.arn("storage"),
            protect=settings.protect,
        ),
    )
    registry.grant_register(base.access.role("pipeline"))
    registry.grant_pull(base.access.role("job"))
    registry.grant_pull(base.access.role("serving"))
    return registry


def _tracking(base: Foundation) -> Tracking:
    role = base.access.role("tracking")
    grants = [
        base.storage.grant_read_write(role, "artifacts"),
        base.keys.grant_use(role, "storage"),
    ]
    tracking = Tracking(
        "tracking",
        TrackingArgs(
            names=base.common.names,
            tags=base.common.tags,
            role=role,
            artifact_store_uri=pulumi.Output.concat(
                "s3://", base.storage.bucket("artifacts").bucket, "/mlflow"
            ),
        ),
        pulumi.ResourceOptions(depends_on=grants),
    )
    tracking.grant_log(base.access.role("job"))
    return tracking


def _workflow(
    base: Foundation,
    settings: Settings,
    tracking: Tracking,
    definitions: Mapping[str, str],
    depends_on: list[pulumi.Resource],
) -> Workflow:
    job, role = base.access.role("job"), base.access.role("pipeline")
    base.storage.grant_read_write(job, *BUCKETS)
    base.storage.grant_read(role, *BUCKETS)
    base.keys.grant_use(job, "features", "storage")
    base.keys.grant_use(role, "storage")
    base.access.grant_observe(job)
    base.access.grant_pass(role, [job], SAGEMAKER)
    text = definitions[workload.PIPELINE]
    definition = tracking.app_arn.apply(
        lambda arn: text.replace(workload.TRACKING_ARN_PLACEHOLDER, arn)
    )
    return Workflow(
        "workflow",
        WorkflowArgs(
            names=base.common.names,
            tags=base.common.tags,
            pipeline=workload.PIPELINE,
            definition=definition,
            role=role,
            max_parallel_steps=settings.training.max_parallel_steps,
            depends_on=[base.access, base.storage, *depends_on],
        ),
    )


def _endpoint(base: Foundation, settings: Settings, registry: Registry) -> Endpoint | None:
    chosen = settings.endpoint
    if chosen.model_package_arn is None:
        return None
    role = base.access.role("serving")
    base.storage.grant_read(role, "artifacts")
    base.keys.grant_use(role, "serving", "storage")
    base.access.grant_observe(role)
    if chosen.capture_percent:
        base.storage.grant_read_write(role, "data")
    data = base.common.names.bucket("data")
    return Endpoint(
        "endpoint",
        EndpointArgs(
            names=base.common.names,
            tags=base.common.tags,
            model=workload.MODEL,
            model_package_arn=chosen.model_package_arn,
            role=role,
            instance_type=chosen.instance_type,
            instance_count=chosen.instance_count,
            kms_key_arn=base.keys.arn("serving"),
            alarm_key_arn=base.keys.arn("serving"),
            traffic_routing=chosen.traffic_routing,
            canary_percent=chosen.canary_percent,
            wait_interval_seconds=chosen.wait_interval_seconds,
            latency_p99_ms=chosen.latency_p99_ms,
            capture_percent=chosen.capture_percent,
            capture_uri=f"s3://{data}/capture",
        ),
        pulumi.ResourceOptions(depends_on=[base.storage, base.access, registry]),
    )
