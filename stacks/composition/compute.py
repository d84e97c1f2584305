"""The EKS cluster and its GPU pools."""

import pulumi

from infra.access import POD_IDENTITY, RoleSpec
from infra.capacity_block import CapacityBlock, CapacityBlockArgs
from infra.cluster import SERVICE_ACCOUNTS, Cluster, ClusterAccess, ClusterArgs
from infra.default_volumes import DefaultVolumes, DefaultVolumesArgs
from infra.gpu_agents import GpuAgents, GpuAgentsArgs
from infra.gpu_nodes import GpuNodeGroup, GpuNodeGroupArgs
from infra.karpenter.karpenter import Karpenter, KarpenterArgs
from infra.karpenter.pools import KarpenterPool
from infra.nodes import GpuPool, Scaling
from stacks.composition.base import Base
from stacks.settings import compute as configuration
from stacks.settings.model import ClusterSettings

DRIVER = "aws-ebs-csi-driver"

ADDON_ROLES = {
    DRIVER: ("ebs-csi", "service-role/AmazonEBSCSIDriverPolicy"),
    "vpc-cni": ("cni", "AmazonEKS_CNI_Policy"),
}
"""Add-on -> purpose of its role, and the managed policy that AWS keeps for it."""

CAPACITY_TYPES = {
    "capacity-block": "CAPACITY_BLOCK",
    "on-demand": "ON_DEMAND",
    "reserved": "ON_DEMAND",  # the launch template names the reservation
    "spot": "SPOT",
}
"""What EKS calls the way that EC2 sells the nodes of a managed group."""


PERSONA_ACCESS = {
    "deployer": "AmazonEKSClusterAdminPolicy",
    "ml-engineer": "AmazonEKSViewPolicy",
}
"""What personas may do in the whole cluster; teams let their members in themselves."""


def roles(settings: ClusterSettings) -> dict[str, RoleSpec]:
    """Who runs the control plane, the nodes, Karpenter, and the add-ons that call AWS."""
    pods = {
        purpose: RoleSpec(
            service=POD_IDENTITY,
            service_account="/".join(SERVICE_ACCOUNTS[addon]),
            managed_policies=(policy,),
        )
        for addon, (purpose, policy) in ADDON_ROLES.items()
        if addon in settings.cluster.addons
    }
    if any(pool.kind == "karpenter" for pool in settings.gpu_pools.values()):
        pods["karpenter"] = RoleSpec(service=POD_IDENTITY, service_account="kube-system/karpenter")
    if any(_is_block(pool) for pool in settings.gpu_pools.values()):
        pods["capacity-block"] = RoleSpec(service="scheduler.amazonaws.com")
    return {
        **pods,
        "cluster": RoleSpec(
            service="eks.amazonaws.com", managed_policies=("AmazonEKSClusterPolicy",)
        ),
        "node": RoleSpec(
            service="ec2.amazonaws.com",
            managed_policies=(
                "AmazonEC2ContainerRegistryPullOnly",
                "AmazonEKSWorkerNodePolicy",
            ),
        ),
    }


def build(base: Base, settings: ClusterSettings) -> Cluster:
    """Build the cluster and a node group per GPU pool."""
    names, tags = base.names, base.common.tags
    node_role = base.access.role("node")
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            names=names,
            tags=tags,
            version=settings.cluster.version,
            upgrade_policy=settings.cluster.upgrade_policy,
            role_arn=base.access.role("cluster").arn,
            node_role_arn=node_role.arn,
            subnet_ids=base.subnet_ids,
            security_group_id=base.contract.workload_security_group_id,
            kms_key_arn=base.key("cluster"),
            volume_key_arn=base.key("ebs"),
            system_instance_types=settings.cluster.system_instance_types,
            system_scaling=_scaling(settings.cluster.system_scaling),
            system_release_version=settings.cluster.system_release_version,
            addons=settings.cluster.addons,
            addon_roles={
                addon: base.access.role(purpose)
                for addon, (purpose, _) in ADDON_ROLES.items()
                if addon in settings.cluster.addons
            },
            pod_subnet_ids=base.contract.pod_subnet_ids,
            public_access_cidrs=settings.cluster.public_access_cidrs,
            access=_access(base, settings),
            log_retention_days=settings.cluster.log_retention_days,
            deletion_protection=settings.environment.protect,
        ),
        # nodes join only once their role may pull images and attach network interfaces
        pulumi.ResourceOptions(depends_on=[base.access]),
    )
    managed = {name: pool for name, pool in settings.gpu_pools.items() if pool.kind == "managed"}
    for name, pool in managed.items():
        _gpu_node_group(base, cluster, name, pool)
    inside = pulumi.ResourceOptions(providers={"kubernetes": cluster.kubernetes})
    if DRIVER in settings.cluster.addons:
        _volumes(base, inside)
    if len(managed) < len(settings.gpu_pools):
        _karpenter(base, settings, cluster, inside)
    if settings.gpu_pools:
        _gpu_agents(base, settings, inside)
    return cluster


def _volumes(base: Base, opts: pulumi.ResourceOptions) -> None:
    """Volumes of pods. The key's policy lets EC2 encrypt them for everybody of the account, so
    that the driver's role needs nothing of it (infra/keys.py)."""
    DefaultVolumes(
        "volumes",
        DefaultVolumesArgs(names=base.names, tags=base.common.tags, kms_key_arn=base.key("ebs")),
        opts,
    )


def watch(base: Base, settings: ClusterSettings) -> None:
    """Tell somebody before a Capacity Block ends, and drain its nodes."""
    blocks = {name: pool for name, pool in settings.gpu_pools.items() if _is_block(pool)}
    if not blocks:
        return
    role = base.access.role("capacity-block")
    may_encrypt = base.access.allow(role, base.use_keys("operations"))
    for name, pool in blocks.items():
        assert pool.reservation and pool.reservation.id and pool.reservation.ends_at
        CapacityBlock(
            f"{name}-block",
            CapacityBlockArgs(
                names=base.names,
                tags=base.common.tags,
                reservation_id=pool.reservation.id,
                ends_at=pool.reservation.ends_at,
                pool=name,
                topic_arn=base.contract.alerts_topic_arn,
                role=role,
            ),
            pulumi.ResourceOptions(depends_on=[may_encrypt]),
        )


def _is_block(pool: configuration.GpuPool) -> bool:
    return pool.capacity_types == ["capacity-block"]


def _access(base: Base, settings: ClusterSettings) -> dict[str, ClusterAccess]:
    """The personas that work in the whole cluster, and the administrators of the settings."""
    arns = {name: (base.names.role_arn(name), policy) for name, policy in PERSONA_ACCESS.items()}
    for name, arn in settings.cluster.admin_role_arns.items():
        arns[name] = (arn, PERSONA_ACCESS["deployer"])
    return {
        name: ClusterAccess(principal_arn=arn, policy=policy)
        for name, (arn, policy) in arns.items()
    }


def _gpu_node_group(base: Base, cluster: Cluster, name: str, pool: configuration.GpuPool) -> None:
    assert pool.scaling is not None  # of a managed pool
    groups = [base.contract.workload_security_group_id]
    GpuNodeGroup(
        name,
        GpuNodeGroupArgs(
            names=base.names,
            tags=base.common.tags,
            cluster_name=cluster.cluster_name,
            node_role_arn=base.access.role("node").arn,
            subnet_ids=pulumi.Output.all(*_subnet_ids(base, pool).values()),
            security_group_ids=[
                *groups,
                *([base.contract.efa_security_group_id] if pool.efa else []),
            ],
            pool=_pool(pool),
            scaling=_scaling(pool.scaling),
            capacity_type=CAPACITY_TYPES[pool.capacity_types[0]],
            reservation_id=pool.reservation.id if pool.reservation else None,
            kms_key_arn=base.key("ebs"),
            node_repair=pool.node_repair,
        ),
        # nodes need the network add-ons to become ready
        pulumi.ResourceOptions(depends_on=[base.access, cluster]),
    )


def _karpenter(
    base: Base, settings: ClusterSettings, cluster: Cluster, opts: pulumi.ResourceOptions
) -> None:
    role, chosen = base.access.role("karpenter"), settings.karpenter
    identity = cluster.pod_identity(role, "kube-system", "karpenter")
    pools = {name: pool for name, pool in settings.gpu_pools.items() if pool.kind == "karpenter"}
    Karpenter(
        "karpenter",
        KarpenterArgs(
            names=base.names,
            tags=base.common.tags,
            cluster_name=cluster.cluster_name,
            role=role,
            node_role=base.access.role("node"),
            security_group_ids=[base.contract.workload_security_group_id],
            efa_security_group_id=base.contract.efa_security_group_id,
            pools={name: _karpenter_pool(base, pool) for name, pool in pools.items()},
            version=chosen.version,
            repository=chosen.repository,
            image_repository=chosen.image_repository,
            isolated_vpc=not base.contract.reaches_internet,
            reserved_enis=1 if base.contract.pod_cidr_block else 0,
            node_repair=all(pool.node_repair for pool in pools.values()),
            kms_key_arn=base.key("ebs"),
        ),
        pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(depends_on=[base.access, identity])
        ),
    )


def _karpenter_pool(base: Base, pool: configuration.GpuPool) -> KarpenterPool:
    assert pool.gpu_limit is not None  # of a karpenter pool
    training = pool.purpose == "training"
    return KarpenterPool(
        pool=_pool(pool),
        gpu_limit=pool.gpu_limit,
        purpose=pool.purpose,
        capacity_types=pool.capacity_types,
        subnet_ids=_subnet_ids(base, pool),
        reservation_id=pool.reservation.id if pool.reservation else None,
        reservation_tags=pool.reservation.tags if pool.reservation else {},
        startup_taints=pool.startup_taints,
        expire_after_hours=pool.expire_after_hours or (None if training else 720),
        termination_grace_hours=pool.termination_grace_hours or (24 if training else 1),
    )


def _gpu_agents(base: Base, settings: ClusterSettings, opts: pulumi.ResourceOptions) -> None:
    pools = settings.gpu_pools.values()
    GpuAgents(
        "gpu-agents",
        GpuAgentsArgs(
            names=base.names,
            tags=base.common.tags,
            time_slicing_replicas=[
                pool.time_slicing_replicas for pool in pools if pool.time_slicing_replicas
            ],
            efa=any(pool.efa for pool in pools),
            **settings.gpu_agents.model_dump(),
        ),
        opts,
    )


def _subnet_ids(base: Base, pool: configuration.GpuPool) -> dict[str, pulumi.Input[str]]:
    """Of the pool's one zone, or of all."""
    found = base.contract.private_subnet_ids
    return {pool.zone: found[pool.zone]} if pool.zone else dict(found)


def _pool(pool: configuration.GpuPool) -> GpuPool:
    return GpuPool(
        instance_type=pool.instance_type,
        release_version=pool.release,
        ami_family=pool.ami_family,
        disk_gib=pool.disk_gib,
        efa=pool.efa,
        placement_group=pool.is_placed,
        mig_profile=pool.mig_profile,
        time_slicing_replicas=pool.time_slicing_replicas or 1,
        labels=pool.labels,
    )


def _scaling(scaling: configuration.Scaling) -> Scaling:
    return Scaling(**scaling.model_dump())
