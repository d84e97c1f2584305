"""The EKS cluster and its GPU pools."""

import pulumi

from infra.access import RoleSpec
from infra.cluster import Cluster, ClusterAccess, ClusterArgs
from infra.gpu_nodes import GpuNodeGroup, GpuNodeGroupArgs
from infra.nodes import Scaling
from stacks.composition.foundation import Foundation
from stacks.settings import Settings
from stacks.settings import compute as configuration

KEY_PURPOSES = ("cluster",)
PODS = "pods.eks.amazonaws.com"
ADDON_ROLES = {
    "aws-ebs-csi-driver": ("ebs-csi", "service-role/AmazonEBSCSIDriverPolicy"),
    "vpc-cni": ("cni", "AmazonEKS_CNI_Policy"),
}
"""Add-on -> purpose of its role, and the managed policy that AWS keeps for it."""


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who runs the control plane, the nodes, and the add-ons that call AWS."""
    addons = {
        purpose: RoleSpec(service=PODS, managed_policies=(policy,))
        for addon, (purpose, policy) in ADDON_ROLES.items()
        if addon in settings.cluster.addons
    }
    return {
        **addons,
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


def build(base: Foundation, settings: Settings) -> Cluster:
    """Build the cluster and a node group per GPU pool."""
    names, tags = base.common.names, base.common.tags
    node_role = base.access.role("node")
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            names=names,
            tags=tags,
            version=settings.cluster.version,
            role_arn=base.access.role("cluster").arn,
            node_role_arn=node_role.arn,
            subnet_ids=base.network.private_subnet_ids,
            security_group_id=base.network.workload_security_group_id,
            kms_key_arn=base.keys.arn("cluster"),
            system_instance_types=settings.cluster.system_instance_types,
            system_scaling=_scaling(settings.cluster.system_scaling),
            system_release_version=settings.cluster.system_release_version,
            addons=settings.cluster.addons,
            addon_roles={
                addon: base.access.role(purpose)
                for addon, (purpose, _) in ADDON_ROLES.items()
                if addon in settings.cluster.addons
            },
            pod_subnet_ids=base.network.pod_subnet_ids,
            public_access_cidrs=settings.cluster.public_access_cidrs,
            access={
                name: ClusterAccess(principal_arn=arn, policy="AmazonEKSClusterAdminPolicy")
                for name, arn in settings.cluster.admin_role_arns.items()
            },
            log_retention_days=settings.cluster.log_retention_days,
            deletion_protection=settings.protect,
        ),
        # nodes join only once their role may pull images and attach network interfaces
        pulumi.ResourceOptions(depends_on=[base.access]),
    )
    for name, pool in settings.gpu_pools.items():
        GpuNodeGroup(
            name,
            GpuNodeGroupArgs(
                names=names,
                tags=tags,
                cluster_name=cluster.cluster_name,
                node_role_arn=node_role.arn,
                subnet_ids=base.network.private_subnet_ids,
                security_group_ids=[base.network.workload_security_group_id],
                instance_type=pool.instance_type,
                scaling=_scaling(pool.scaling),
                release_version=pool.release_version,
                capacity_type=pool.capacity_type,
                disk_gib=pool.disk_gib,
            ),
            pulumi.ResourceOptions(depends_on=[base.access]),
        )
    return cluster


def _scaling(scaling: configuration.Scaling) -> Scaling:
    return Scaling(**scaling.model_dump())
