"""The EKS cluster and its GPU pools."""

import pulumi

from infra.access import RoleSpec
from infra.cluster import Cluster, ClusterArgs, GpuNodeGroup, GpuNodeGroupArgs, Scaling
from stacks.composition.foundation import Foundation
from stacks.settings import Settings
from stacks.settings import compute as configuration

KEY_PURPOSES = ("cluster",)


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who runs the control plane and the nodes."""
    return {
        "cluster": RoleSpec(
            service="eks.amazonaws.com", managed_policies=("AmazonEKSClusterPolicy",)
        ),
        "node": RoleSpec(
            service="ec2.amazonaws.com",
            managed_policies=(
                "AmazonEC2ContainerRegistryPullOnly",
                "AmazonEKSWorkerNodePolicy",
                "AmazonEKS_CNI_Policy",
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
                instance_type=pool.instance_type,
                scaling=_scaling(pool.scaling),
                capacity_type=pool.capacity_type,
                disk_gib=pool.disk_gib,
            ),
            pulumi.ResourceOptions(depends_on=[base.access]),
        )
    return cluster


def _scaling(scaling: configuration.Scaling) -> Scaling:
    return Scaling(**scaling.model_dump())
