"""The life of a workload's model: registry, card, pipelines, endpoints."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from infra.access import RoleSpec, observe, pass_roles
from infra.autoscaling import Autoscaling
from infra.endpoint.endpoint import Endpoint
from infra.feature_store import offline_keys
from infra.images import pull_images
from infra.model_card import ModelCard, ModelCardArgs
from infra.pipeline import JOBS, Pipeline, PipelineArgs
from infra.registry import Registry, RegistryArgs
from infra.storage import read_objects, write_objects
from pipelines.workload import Model
from stacks.composition import serving
from stacks.composition.base import SAGEMAKER, TRACKED, Base
from stacks.composition.data import read_used
from stacks.definitions import (
    JOB_SECURITY_GROUP,
    STORAGE_KEY,
    TRACKING_APP,
    filled_in,
    subnet,
)
from stacks.settings.model import WorkloadSettings


@dataclass(frozen=True)
class Models:
    """What the workload's other parts and the stack's outputs refer to."""

    registry: Registry | None
    """None of a workload without a model."""

    workflows: Mapping[str, Pipeline]
    """By the pipeline's name."""

    endpoint: Endpoint | None
    """None until a model package is pinned."""

    scaled: Mapping[str, Autoscaling]
    """What scales by itself, by its component's name."""


def roles(settings: WorkloadSettings) -> dict[str, RoleSpec]:
    """Who runs jobs, pipelines and endpoints."""
    purposes = ["pipeline"]
    purposes += ["serving"] if settings.workload.model else []
    purposes += ["llm"] if settings.llm else []
    found = {purpose: RoleSpec(service=SAGEMAKER) for purpose in purposes}
    return found | {"job": RoleSpec(service=SAGEMAKER, only_in_vpc=True)}


def build(
    base: Base,
    settings: WorkloadSettings,
    definitions: Mapping[str, str],
    depends_on: Sequence[pulumi.Resource],
) -> Models:
    """Build registry and card of the model, the pipelines and, for a pinned model, endpoints."""
    model = settings.workload.model
    registry = _registry(base, settings, model) if model else None
    before = [*depends_on, *([registry] if registry else [])]
    ready = _may_run(base, settings)
    workflows = {
        name: _workflow(base, settings, name, definitions[name], [*ready, *before])
        for name in settings.workload.pipelines
    }
    served = serving.build(base, settings, registry)
    return Models(registry, workflows, served.endpoint, served.scaled)


def _registry(base: Base, settings: WorkloadSettings, model: Model) -> Registry:
    environment = base.environment
    registry = Registry(
        "registry",
        RegistryArgs(
            names=base.names,
            tags=base.common.tags,
            description=model.description,
            risk_class=str(model.card["risk_rating"]).lower(),
            alarm_key_arn=base.key("serving"),
            readers=environment.accounts.readers(base.names),
            protect=environment.protect,
        ),
    )
    ModelCard(
        "model-card",
        ModelCardArgs(
            names=base.names,
            tags=base.common.tags,
            description=model.description,
            owner=settings.workload.owner,
            kms_key_arn=base.key("serving"),
            status=settings.registry.model_card_status,
            model_package_arn=settings.endpoint.model_package_arn,
            **model.card,
        ),
    )
    registry.grant_register(base.access.role("pipeline"))
    return registry


def _may_run(base: Base, settings: WorkloadSettings) -> list[pulumi.Resource]:
    """Let jobs and pipelines work; returns what a run cannot start without."""
    job, role = base.access.role("job"), base.access.role("pipeline")
    names, own = base.names, f"{base.names.prefix}-*"
    data_keys = [
        "landing/*",  # raw data arrives for all workloads
        f"quarantine/{names.workload}/*",
        offline_keys(names, names.prefix),
    ]
    job_may = base.access.allow(
        job,
        base.attach(),
        base.log_runs() if settings.workload.model else [],
        base.run_spark(),
        base.use_keys("features", "storage"),
        base.mount_volumes("storage"),
        observe(names),
        pull_images(names),
        read_used(base, settings),
        write_objects(names, {"artifacts": [own, f"{TRACKED}/*"], "data": data_keys}),
    )
    pipeline_may = base.access.allow(
        role,
        base.read_keys("storage"),
        pass_roles([job.arn], SAGEMAKER),
        read_objects(names, {"artifacts": [own]}),
    )
    return [job_may, pipeline_may]


def _workflow(
    base: Base,
    settings: WorkloadSettings,
    name: str,
    text: str,
    depends_on: Sequence[pulumi.Resource],
) -> Pipeline:
    known = pulumi.Output.all(**_invented(base))
    return Pipeline(
        f"workflow-{name}",
        PipelineArgs(
            names=base.names,
            tags=base.common.tags,
            pipeline=name,
            definition=known.apply(lambda values: filled_in(text, values)),
            role=base.access.role("pipeline"),
            jobs=[kind for kind in JOBS if re.search(rf'"Type":\s*"{kind}"', text)] or JOBS,
            max_parallel_steps=settings.pipeline(name).max_parallel_steps,
            depends_on=[base.access, *depends_on],
        ),
    )


def _invented(base: Base) -> dict[str, pulumi.Input[str]]:
    """What a definition leaves open, by name (`stacks/definitions.py`)."""
    return {
        JOB_SECURITY_GROUP: base.contract.job_security_group_id,
        STORAGE_KEY: base.key("storage"),
        TRACKING_APP: base.contract.tracking_arn,  # empty: steps log nothing
        **{subnet(zone): subnet_id for zone, subnet_id in base.contract.private_subnet_ids.items()},
    }
