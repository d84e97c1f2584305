"""One workload: the roles that it acts as, its features, pipelines, endpoints and watchers."""

from collections.abc import Mapping

import pulumi

from infra.access import RoleSpec
from infra.component import ComponentArgs
from infra.errors import UserError
from infra.pods import Pods, PodsArgs
from infra.storage import read_objects
from stacks.composition import data, models, operations
from stacks.composition.base import Base, base
from stacks.contract import ClusterContract, FoundationContract
from stacks.settings.model import WorkloadSettings

PODS = "pods.eks.amazonaws.com"

JOBS_REACH = frozenset({"sagemaker.api", "sagemaker.featurestore-runtime"})
"""Services that steps of pipelines call from inside the VPC, beside S3 and MLflow."""

STREAM_REACHES = frozenset({"sagemaker.featurestore-runtime", "sqs"})
"""Services that the stream's function calls."""


def build(
    common: ComponentArgs,
    settings: WorkloadSettings,
    definitions: Mapping[str, str],
    below: FoundationContract,
    cluster: ClusterContract | None,
) -> dict[str, pulumi.Input[object]]:
    """Build the workload; returns the stack's outputs."""
    check_reach(settings, below)
    platform = base(common, settings.environment, below, roles(settings))
    features = data.build(platform, settings)
    served = models.build(platform, settings, definitions, features)
    operations.build(platform, settings, served)
    if cluster is not None:
        _pods(platform, settings, cluster)
    outputs: dict[str, pulumi.Input[object]] = {
        "pipeline_names": {name: flow.pipeline_name for name, flow in served.workflows.items()}
    }
    if served.registry is not None:
        outputs["model_package_group_name"] = served.registry.model_package_group_name
    if served.endpoint is not None:
        outputs["endpoint_name"] = served.endpoint.endpoint_name
        outputs["endpoint_config_name"] = served.endpoint.endpoint_config_name
    return outputs


def roles(settings: WorkloadSettings) -> dict[str, RoleSpec]:
    """What everything of the workload acts as."""
    found = data.roles(settings) | models.roles(settings) | operations.roles(settings)
    if settings.pods is not None:
        account = f"{settings.pods.team}/{settings.pods.service_account}"
        found["pods"] = RoleSpec(service=PODS, service_account=account)
    return found


def check_reach(settings: WorkloadSettings, below: FoundationContract) -> None:
    """What runs in the VPC reaches the services that it calls; UserError if it could not."""
    if below.reaches_internet:
        return
    needed = JOBS_REACH | (STREAM_REACHES if settings.stream else frozenset())
    if lacking := sorted(needed - set(below.interface_endpoints)):
        foundation = f"{settings.environment.name}.foundation"
        raise UserError(
            f"{settings.workload.name} must reach its services from inside a network without a way "
            f"out, got none to {', '.join(lacking)}",
            fix=f"add them to plinth:network.interface_endpoints of {foundation} and deploy it",
        )


def _pods(platform: Base, settings: WorkloadSettings, cluster: ClusterContract) -> None:
    """An identity for the workload's pods: they read its artefacts and the groups it uses."""
    chosen = settings.pods
    assert chosen is not None
    if chosen.team not in cluster.teams:
        raise UserError(
            f"pods.team must be one of {', '.join(cluster.teams) or 'none'}, got {chosen.team!r}",
            fix=f"add the team to the cluster of {settings.environment.name} and deploy it",
        )
    role, names = platform.access.role("pods"), platform.names
    artefacts = read_objects(names, {"artifacts": [f"{names.prefix}-*"]})
    platform.access.allow(role, platform.use_keys("storage"), artefacts)
    Pods(
        "pods",
        PodsArgs(
            names=names,
            tags=platform.common.tags,
            role=role,
            namespace=chosen.team,
            service_account=chosen.service_account,
        ),
    )
