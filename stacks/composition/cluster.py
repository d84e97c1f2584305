"""Kubernetes: the cluster and its nodes, who gets the GPUs, and what watches them."""

import pulumi

from infra.access import RoleSpec
from infra.cluster import Cluster
from infra.component import ComponentArgs
from infra.errors import UserError
from infra.gpu_monitoring import GpuMonitoring, GpuMonitoringArgs
from infra.nodes import Scaling
from infra.off_hours import OffHours, OffHoursArgs
from stacks.composition import compute, scheduling
from stacks.composition.base import Base, base
from stacks.contract import OUTPUT, ClusterContract, FoundationContract, export
from stacks.settings import operations as configuration
from stacks.settings.model import ClusterSettings


def build(
    common: ComponentArgs, settings: ClusterSettings, below: FoundationContract
) -> dict[str, pulumi.Input[object]]:
    """Build the cluster; its outputs are what it offers to workloads that run on it."""
    check_file_system(settings, below)
    platform = base(common, settings.environment, below, roles(settings))
    cluster = compute.build(platform, settings)
    scheduling.build(platform, settings, cluster)
    compute.watch(platform, settings)
    if settings.gpu_monitoring is not None and settings.gpu_pools:
        _gpu_monitoring(platform, settings.gpu_monitoring, cluster)
    if settings.off_hours is not None:
        _off_hours(platform, settings, settings.off_hours, cluster)
    contract = ClusterContract(
        endpoint=cluster.endpoint,
        certificate_authority=cluster.certificate_authority,
        **ClusterContract.decided(settings),
    )
    return {"cluster_name": cluster.cluster_name, OUTPUT: export(contract)}


def roles(settings: ClusterSettings) -> dict[str, RoleSpec]:
    """Who runs the control plane, nodes and pods, and who shrinks node groups at night."""
    found = compute.roles(settings) | scheduling.roles(settings)
    if settings.shrinking:
        found["off-hours"] = RoleSpec(service="scheduler.amazonaws.com")
    return found


def check_file_system(settings: ClusterSettings, below: FoundationContract) -> None:
    """A pool in one zone mounts the file system there; UserError if that stands elsewhere."""
    zone = below.filesystem_zone
    apart = [
        name for name, pool in settings.gpu_pools.items() if zone and pool.zone not in (None, zone)
    ]
    if apart:
        raise UserError(
            f"gpu_pools must be in the zone of the file system, {zone}, got {', '.join(apart)}",
            fix="give these pools or plinth:filesystem of the foundation another zone",
        )


def _gpu_monitoring(platform: Base, chosen: configuration.GpuMonitoring, cluster: Cluster) -> None:
    GpuMonitoring(
        "gpu-monitoring",
        GpuMonitoringArgs(
            names=platform.names,
            tags=platform.common.tags,
            prometheus_operator=chosen.prometheus_operator,
        ),
        pulumi.ResourceOptions(providers={"kubernetes": cluster.kubernetes}),
    )


def _off_hours(
    platform: Base, settings: ClusterSettings, chosen: configuration.OffHours, cluster: Cluster
) -> None:
    OffHours(
        "off-hours",
        OffHoursArgs(
            names=platform.names,
            tags=platform.common.tags,
            **chosen.model_dump(),
            node_groups={
                name: Scaling(**sizes.model_dump()) for name, sizes in settings.shrinking.items()
            },
            role=platform.access.role("off-hours"),
        ),
        pulumi.ResourceOptions(depends_on=[cluster]),
    )
