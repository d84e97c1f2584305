"""The life of a model: registry, tracking, training pipeline, endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.access import RoleSpec
from infra.autoscaling import Autoscaling
from infra.endpoint.endpoint import Endpoint
from infra.model_card import ModelCard, ModelCardArgs
from infra.pipeline import Pipeline, PipelineArgs
from infra.registry import Registry, RegistryArgs
from infra.tracking import Tracking, TrackingArgs
from stacks import workload
from stacks.composition import serving
from stacks.composition.foundation import BUCKETS, Foundation
from stacks.composition.serving import SAGEMAKER
from stacks.settings.model import Settings

KEY_PURPOSES = ("serving",)


@dataclass(frozen=True)
class Models:
    """What the other domains and the stack's outputs refer to."""

    registry: Registry
    tracking: Tracking | None
    """None where runs are not recorded."""

    workflow: Pipeline
    endpoint: Endpoint | None
    """None until a model package is pinned."""

    scaled: Mapping[str, Autoscaling]
    """What scales by itself, by its component's name."""


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who runs jobs, pipelines, endpoints and MLflow."""
    purposes = ["pipeline", "serving"]
    purposes += ["tracking"] if settings.tracking.kind != "none" else []
    purposes += ["llm"] if settings.llm else []
    found = {purpose: RoleSpec(service=SAGEMAKER) for purpose in purposes}
    return found | {"job": RoleSpec(service=SAGEMAKER, only_in_vpc=True)}


def build(
    base: Foundation,
    settings: Settings,
    definitions: Mapping[str, str],
    depends_on: list[pulumi.Resource],
) -> Models:
    """Build the registry, the tracking app, the pipeline and, for a pinned model, the endpoints."""
    registry = _registry(base, settings)
    tracking = _tracking(base, settings)
    workflow = _workflow(base, settings, tracking, definitions, [*depends_on, registry])
    served = serving.build(base, settings, registry)
    return Models(registry, tracking, workflow, served.endpoint, served.scaled)


def _registry(base: Foundation, settings: Settings) -> Registry:
    registry = Registry(
        "registry",
        RegistryArgs(
            names=base.common.names,
            tags=base.common.tags,
            model=workload.MODEL,
            description=workload.MODEL_DESCRIPTION,
            risk_class=workload.MODEL_CARD["risk_rating"].lower(),
            kms_key_arn=base.keys.arn("storage"),
            alarm_key_arn=base.keys.arn("serving"),
            readers=settings.accounts.readers(base.common.names),
            protect=settings.protect,
        ),
    )
    ModelCard(
        "model-card",
        ModelCardArgs(
            names=base.common.names,
            tags=base.common.tags,
            model=workload.MODEL,
            description=workload.MODEL_DESCRIPTION,
            owner=settings.tags.owner,
            kms_key_arn=base.keys.arn("serving"),
            status=settings.registry.model_card_status,
            model_package_arn=settings.endpoint.model_package_arn,
            **workload.MODEL_CARD,
        ),
    )
    registry.grant_register(base.access.role("pipeline"))
    registry.grant_pull(base.access.role("job"))
    registry.grant_pull(base.access.role("serving"))
    return registry


def _tracking(base: Foundation, settings: Settings) -> Tracking | None:
    if settings.tracking.kind == "none":
        return None
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
            kind=settings.tracking.kind,
            size=settings.tracking.size,
        ),
        pulumi.ResourceOptions(depends_on=grants),
    )
    tracking.grant_log(base.access.role("job"))
    return tracking


def _workflow(
    base: Foundation,
    settings: Settings,
    tracking: Tracking | None,
    definitions: Mapping[str, str],
    depends_on: list[pulumi.Resource],
) -> Pipeline:
    job, role = base.access.role("job"), base.access.role("pipeline")
    base.storage.grant_read_write(job, *BUCKETS)
    base.storage.grant_read(role, *BUCKETS)
    base.keys.grant_use(job, "features", "storage")
    base.keys.grant_use(role, "storage")
    base.access.grant_observe(job)
    base.access.grant_pass(role, [job], SAGEMAKER)
    may_attach = base.network.grant_attach(job)
    text = definitions[workload.PIPELINE]
    known = pulumi.Output.all(**_invented(base, tracking))
    definition = known.apply(lambda values: workload.filled_in(text, values))
    return Pipeline(
        "workflow",
        PipelineArgs(
            names=base.common.names,
            tags=base.common.tags,
            pipeline=workload.PIPELINE,
            definition=definition,
            role=role,
            max_parallel_steps=settings.training.max_parallel_steps,
            depends_on=[base.access, base.storage, may_attach, *depends_on],
        ),
    )


def _invented(base: Foundation, tracking: Tracking | None) -> dict[str, pulumi.Input[str]]:
    """What the definition leaves open, by name (`stacks/workload.py`)."""
    return {
        workload.JOB_SECURITY_GROUP: base.network.job_security_group_id,
        workload.STORAGE_KEY: base.keys.arn("storage"),
        workload.TRACKING_APP: tracking.app_arn if tracking else "",  # empty: steps log nothing
        **{
            workload.subnet(zone): subnet_id
            for zone, subnet_id in base.network.private_subnet_ids_by_zone.items()
        },
    }
