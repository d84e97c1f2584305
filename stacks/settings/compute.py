"""The cluster and its GPU pools."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.instances import INSTANCE_TYPES, MIG_GPUS, MIG_PROFILES, schedulable_gpus
from stacks.pins.table import pins
from stacks.settings.part import Part, RoleArn

PINS = pins()

ADDONS = PINS.all_of("addon")
"""EKS add-ons of the pinned Kubernetes."""

AMI_RELEASE_VERSION = PINS.version("ami/al2023")
"""Release of Amazon's AL2023 images for the pinned Kubernetes."""

RELEASE_VERSIONS = {
    "al2023-nvidia": AMI_RELEASE_VERSION,
    "bottlerocket-nvidia": PINS.version("ami/bottlerocket"),
}
RELEASE_PATTERNS = {
    "al2023-nvidia": r"1\.\d\d\.\d+-\d{8}",
    "bottlerocket-nvidia": r"\d+\.\d+\.\d+-[0-9a-f]{8}",
}
"""How EKS writes the release of an image (EKS API, Nodegroup releaseVersion)."""


class Scaling(Part):
    min_size: Annotated[int, Field(ge=0)]
    desired_size: Annotated[int, Field(ge=0)]
    max_size: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _is_ordered(self) -> Scaling:
        if not self.min_size <= self.desired_size <= self.max_size:
            raise ValueError(
                "min_size <= desired_size <= max_size must hold, got "
                f"{self.min_size}, {self.desired_size}, {self.max_size}"
            )
        return self


class Cluster(Part):
    version: Annotated[str, Field(pattern=r"^1\.\d\d$")] = PINS.version("kubernetes")
    upgrade_policy: Literal["STANDARD", "EXTENDED"] = "STANDARD"
    """What EKS does once the standard support of the version ends: upgrade it (STANDARD), or keep
    it at six times the price (EXTENDED). Default: upgrade."""

    system_instance_types: list[str]
    system_scaling: Scaling

    system_release_version: str = AMI_RELEASE_VERSION
    """Image of the system nodes. Default: a release of the pinned Kubernetes."""

    addons: dict[str, str] = ADDONS
    """Version by add-on. Default: those of the pinned Kubernetes."""

    public_access_cidrs: list[str] = Field(default_factory=list)
    """Who may reach the API endpoint from the internet, such as whoever deploys. Default: nobody,
    it is private: then the foundation has a `runner` in the VPC, which deploys this stack."""

    admin_role_arns: dict[str, RoleArn] = Field(default_factory=dict)
    """IAM roles that administer the cluster, with their paths, such as the one that deploys; by a
    name of your own. Default: the persona that deploys, and whoever types `plinth up`."""

    log_retention_days: int = 90

    @model_validator(mode="after")
    def _is_closed_to_the_world(self) -> Cluster:
        for cidr in self.public_access_cidrs:
            if ipaddress.ip_network(cidr).prefixlen == 0:
                raise ValueError(f"public_access_cidrs must not name everybody, got {cidr!r}")
        return self

    @model_validator(mode="after")
    def _pins_follow_the_version(self) -> Cluster:
        pins = {
            "system_release_version": self.system_release_version,
            "addons.kube-proxy": self.addons.get("kube-proxy", self.version).removeprefix("v"),
        }
        for name, pin in pins.items():
            if not f"{pin}.".startswith(f"{self.version}."):
                raise ValueError(f"{name} must be one of Kubernetes {self.version}, got {pin!r}")
        return self


CapacityType = Literal["reserved", "spot", "on-demand", "capacity-block"]
ON_DEMAND: CapacityType = "on-demand"


class Reservation(Part):
    """Capacity that is paid for already."""

    id: Annotated[str, Field(pattern=r"^cr-[0-9a-f]+$")] | None = None
    """The reservation. Default: those with `tags`."""

    tags: dict[str, str] = Field(default_factory=dict)
    """Tags of the reservations to use; Karpenter alone looks for them. Default: `id` says which."""

    availability_zone_id: str
    """Where the capacity is."""

    ends_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")] | None = None
    """When a Capacity Block ends, UTC, quoted: `"2026-12-01T11:30:00Z"`. Default: it has no end."""

    @model_validator(mode="after")
    def _is_found_one_way(self) -> Reservation:
        if (self.id is None) == (not self.tags):
            raise ValueError("a reservation must be named by id or found by tags, not both")
        return self


class GpuPool(Part):
    """Equal GPU nodes; what cannot work is refused before anything is created."""

    instance_type: str

    kind: Literal["managed", "karpenter"] = "managed"
    """An EKS managed node group, or a Karpenter NodePool that grows with its pods. Default:
    managed."""

    purpose: Literal["training", "serving"] = "training"
    """Karpenter never takes a node from training; of serving a tenth at a time. Default:
    training."""

    scaling: Scaling | None = None
    """Of a managed pool. Default: Karpenter pools have `gpu_limit`."""

    gpu_limit: Annotated[int, Field(ge=1)] | None = None
    """GPUs that a Karpenter pool may grow to. Default: managed pools have `scaling`."""

    capacity_types: Annotated[list[CapacityType], Field(min_length=1)] = Field(
        default_factory=lambda: [ON_DEMAND]
    )
    """How EC2 sells it: one for a managed pool; Karpenter takes reserved, then spot, then on-demand
    of those named. Spot is for work with checkpoints. Default: on-demand."""

    reservation: Reservation | None = None
    """For `reserved` and `capacity-block`. Default: none."""

    availability_zone_id: str | None = None
    """The one zone of the pool. Default: the reservation's, or every zone of the network."""

    efa: bool = False
    """Elastic Fabric Adapters for training on several nodes. Default: none."""

    placement_group: bool | None = None
    """Nodes close to each other, in a cluster placement group; never with a reservation, which has
    a place already. Default: for on-demand pools with EFA."""

    ami_family: Literal["al2023-nvidia", "bottlerocket-nvidia"] = "al2023-nvidia"
    release_version: str | None = None
    """Release of the image. Default: one of the pinned Kubernetes."""

    disk_gib: Annotated[int, Field(ge=50)] = 200
    """Volume for images and logs; local NVMe disks come on top. Default: 200 GiB."""

    labels: dict[str, str] = Field(default_factory=dict)

    mig_profile: str | None = None
    """Cut every GPU into slices of this profile, such as `1g.10gb`. Default: whole GPUs."""

    time_slicing_replicas: Annotated[int, Field(ge=2, le=48)] | None = None
    """Let so many pods take turns on every GPU, without isolation. Default: one."""

    node_repair: bool = True
    """Replace nodes that the monitoring agent finds broken. EKS stops when more than 5 nodes and
    20 % of a group are unhealthy. Default: on."""

    startup_taints: list[str] = Field(default_factory=list)
    """Taints of storage agents that are gone once the agent runs, such as
    `fsx.csi.aws.com/agent-not-ready`; Karpenter pools. Default: none."""

    expire_after_hours: Annotated[int, Field(ge=24)] | None = None
    """Age at which Karpenter replaces a node. Default: serving 720, training never."""

    termination_grace_hours: Annotated[int, Field(ge=1)] | None = None
    """How long Karpenter lets a node drain. Default: training 24, serving 1."""

    @property
    def release(self) -> str:
        """The pinned image."""
        return self.release_version or RELEASE_VERSIONS[self.ami_family]

    @property
    def zone(self) -> str | None:
        """The one zone of the pool, if it has but one."""
        reserved = self.reservation.availability_zone_id if self.reservation else None
        return self.availability_zone_id or reserved

    @property
    def is_placed(self) -> bool:
        """Nodes share a cluster placement group."""
        if self.placement_group is None:
            return self.efa and self.capacity_types == ["on-demand"]
        return self.placement_group

    @property
    def gpus_per_node(self) -> int:
        """What one node offers as `nvidia.com/gpu`."""
        return schedulable_gpus(
            self.instance_type,
            mig_profile=self.mig_profile,
            replicas=self.time_slicing_replicas or 1,
        )

    @property
    def max_gpus(self) -> int:
        """What the pool offers as `nvidia.com/gpu` when it is as large as it may become."""
        if self.gpu_limit is not None:
            return self.gpu_limit
        return self.gpus_per_node * (self.scaling.max_size if self.scaling else 0)

    @model_validator(mode="after")
    def _works(self) -> GpuPool:
        for check in POOL_CHECKS:
            check(self)
        return self


def _has_gpus(pool: GpuPool) -> None:
    facts = INSTANCE_TYPES.get(pool.instance_type)
    if facts is None:
        raise ValueError(
            f"instance_type must have a row in infra/instances.py, got {pool.instance_type!r}"
        )
    if facts.gpus == 0:
        raise ValueError(f"instance_type must have GPUs, got {pool.instance_type!r}")


def _is_bounded(pool: GpuPool) -> None:
    managed = pool.kind == "managed"
    if managed and (pool.scaling is None or pool.gpu_limit is not None):
        raise ValueError("a managed pool must have scaling and no gpu_limit")
    if not managed and (pool.gpu_limit is None or pool.scaling is not None):
        raise ValueError("a karpenter pool must have gpu_limit and no scaling")
    if pool.gpu_limit is not None and pool.gpu_limit % pool.gpus_per_node:
        raise ValueError(
            f"gpu_limit must be a multiple of the {pool.gpus_per_node} GPUs of "
            f"{pool.instance_type}, got {pool.gpu_limit}"
        )


def _is_sold_that_way(pool: GpuPool) -> None:
    kinds = pool.capacity_types
    if pool.kind == "managed" and len(kinds) != 1:
        raise ValueError(f"a managed pool must have one of capacity_types, got {kinds}")
    if pool.kind == "karpenter" and "capacity-block" in kinds:
        raise ValueError("a karpenter pool must call a Capacity Block reserved, as Karpenter does")
    needs = bool({"reserved", "capacity-block"} & set(kinds))
    if needs != (pool.reservation is not None):
        raise ValueError(
            "capacity_types reserved and capacity-block must come with a reservation, and the "
            f"others without, got {kinds}"
        )
    if pool.kind == "managed" and pool.reservation and pool.reservation.id is None:
        raise ValueError("the reservation of a managed pool must be named by id, got tags")


def _block_is_used_whole(pool: GpuPool) -> None:
    if pool.capacity_types != ["capacity-block"] or not pool.scaling or not pool.reservation:
        return
    sizes = pool.scaling.min_size, pool.scaling.desired_size, pool.scaling.max_size
    if len(set(sizes)) > 1:
        raise ValueError(
            f"a Capacity Block must have min_size = desired_size = max_size, got {sizes}"
        )
    if not INSTANCE_TYPES[pool.instance_type].capacity_blocks:
        raise ValueError(
            f"instance_type must be sold as Capacity Blocks, got {pool.instance_type!r}"
        )
    if pool.reservation.ends_at is None:
        raise ValueError("the reservation of a Capacity Block must say when it ends_at")


def _is_in_one_place(pool: GpuPool) -> None:
    reservation = pool.reservation
    if reservation and pool.zone != reservation.availability_zone_id:
        raise ValueError(
            "availability_zone_id must be the reservation's "
            f"{reservation.availability_zone_id!r}, got {pool.zone!r}"
        )
    if pool.is_placed and reservation:
        raise ValueError(
            "placement_group must be off with a reservation: its instances are placed already, "
            "and EC2 would find no capacity for some of them"
        )
    if (pool.efa or pool.is_placed) and pool.zone is None:
        raise ValueError("a pool with EFA or a placement group must have an availability_zone_id")
    if pool.efa and not INSTANCE_TYPES[pool.instance_type].efa_interfaces:
        raise ValueError(f"efa must be off, {pool.instance_type} has none")


def _is_shared_where_it_is_understood(pool: GpuPool) -> None:
    shared = pool.mig_profile or pool.time_slicing_replicas
    if shared and pool.kind == "karpenter":
        raise ValueError(
            "mig_profile and time_slicing_replicas must be off in a karpenter pool: Karpenter "
            "counts whole GPUs and would start a node for every few slices"
        )
    if pool.mig_profile and pool.time_slicing_replicas:
        raise ValueError("mig_profile and time_slicing_replicas must not come together")
    if pool.mig_profile is None:
        return
    if pool.ami_family != "bottlerocket-nvidia":
        raise ValueError(
            "mig_profile must come with ami_family bottlerocket-nvidia, which cuts the GPUs before "
            f"the node joins, got {pool.ami_family!r}"
        )
    profiles = MIG_PROFILES.get(MIG_GPUS.get(pool.instance_type, ""), {})
    if pool.mig_profile not in profiles:
        known = ", ".join(profiles) or "none"
        raise ValueError(
            f"mig_profile of {pool.instance_type} must be one of {known}, got {pool.mig_profile!r}"
        )


def _is_pinned(pool: GpuPool) -> None:
    if not re.fullmatch(RELEASE_PATTERNS[pool.ami_family], pool.release):
        raise ValueError(
            f"release_version must be one of {pool.ami_family}, such as "
            f"{RELEASE_VERSIONS[pool.ami_family]}, got {pool.release!r}"
        )


POOL_CHECKS: tuple[Callable[[GpuPool], None], ...] = (
    _has_gpus,
    _is_shared_where_it_is_understood,
    _is_bounded,
    _is_sold_that_way,
    _block_is_used_whole,
    _is_in_one_place,
    _is_pinned,
)


class Karpenter(Part):
    """The controller of `karpenter` pools; there is none without such a pool."""

    version: str = PINS.version("chart/karpenter")
    """Version of its charts. Default: one that knows the pinned Kubernetes."""

    repository: str = "oci://public.ecr.aws/karpenter"
    """Where the charts are. Default: the project's own registry."""

    image_repository: str | None = None
    """Where the controller's image is, for networks that reach no public registry. Default: as the
    chart says."""


class GpuAgents(Part):
    """What runs on every GPU node; versions of the charts."""

    device_plugin_version: str = PINS.version("chart/nvidia-device-plugin")
    dcgm_exporter_version: str = PINS.version("chart/dcgm-exporter")
    efa_device_plugin_version: str = PINS.version("chart/aws-efa-k8s-device-plugin")

    image_registry: str | None = None
    """Registry that mirrors nvcr.io and public.ecr.aws. Default: those themselves."""


def check_pools(
    cluster: Cluster, pools: Mapping[str, GpuPool], availability_zone_ids: Sequence[str]
) -> None:
    """What no pool can see alone: its zone and its Kubernetes version; ValueError if not."""
    for name, pool in pools.items():
        if pool.zone is not None and pool.zone not in availability_zone_ids:
            raise ValueError(
                f"{name}.availability_zone_id must be one of the environment's "
                f"{', '.join(availability_zone_ids)}, got {pool.zone!r}"
            )
        if pool.ami_family == "al2023-nvidia" and not pool.release.startswith(
            f"{cluster.version}."
        ):
            raise ValueError(
                f"{name}.release_version must be one of Kubernetes {cluster.version}, "
                f"got {pool.release!r}"
            )
