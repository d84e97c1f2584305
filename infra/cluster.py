"""The EKS cluster, its system node group, and node groups with GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs
from infra.instances import instance_type

CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All log types that EKS offers (EKS user guide, control plane logging)."""

GPU_TAINT_KEY = "nvidia.com/gpu"
"""Keeps pods that ask for no GPU off GPU nodes; NVIDIA's device plugin tolerates it."""


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How many nodes a group may have."""

    min_size: int
    desired_size: int
    max_size: int


@dataclass(frozen=True, kw_only=True)
class ClusterArgs(ComponentArgs):
    """The control plane and the nodes that the cluster's own services run on."""

    version: str
    """Kubernetes minor version, such as `1.34`."""

    role_arn: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]

    system_instance_types: Sequence[str]
    system_scaling: Scaling

    log_retention_days: int = 90
    """Days control plane logs are kept. Default: 90."""

    deletion_protection: bool = True
    """Refuse to delete the cluster. Default: protected."""


class Cluster(Component):
    """A private EKS cluster with encrypted secrets, all logs, and a CPU group for the system."""

    cluster_name: pulumi.Output[str]
    cluster_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        cluster_name = self.names.of("cluster")
        # The group exists before EKS would create it without retention and without a key
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{cluster_name}/cluster",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=self.tags("cluster-logs"),
            opts=self.child,
        )
        cluster = aws.eks.Cluster(
            f"{name}-control-plane",
            name=cluster_name,
            version=args.version,
            role_arn=args.role_arn,
            enabled_cluster_log_types=list(CONTROL_PLANE_LOGS),
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            encryption_config={
                "provider": {"key_arn": args.kms_key_arn},
                "resources": ["secrets"],
            },
            vpc_config={
                "endpoint_private_access": True,
                "endpoint_public_access": False,
                "subnet_ids": args.subnet_ids,
                "security_group_ids": [args.security_group_id],
            },
            deletion_protection=args.deletion_protection,
            tags=self.tags("cluster"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs]),
        )
        self.cluster_name = cluster.name
        self.cluster_arn = cluster.arn
        template = node_launch_template(self, "system", disk_gib=50)
        aws.eks.NodeGroup(
            f"{name}-system",
            cluster_name=cluster.name,
            node_group_name=self.names.of("system"),
            node_role_arn=args.node_role_arn,
            subnet_ids=args.subnet_ids,
            instance_types=list(args.system_instance_types),
            ami_type="AL2023_x86_64_STANDARD",
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(str),
            },
            scaling_config=scaling_config(args.system_scaling),
            labels={"plinth.dev/pool": "system"},
            tags=self.tags("system"),
            opts=self.child,
        )
        self.seal()


@dataclass(frozen=True, kw_only=True)
class GpuNodeGroupArgs(ComponentArgs):
    """One pool of equal GPU nodes."""

    cluster_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]

    instance_type: str
    """An EC2 type with GPUs that has a row in `infra/instances.py`."""

    scaling: Scaling

    capacity_type: str = "ON_DEMAND"
    """`ON_DEMAND` or `SPOT`. Default: on demand."""

    disk_gib: int = 200
    """Root volume; images with CUDA are large. Default: 200 GiB."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Further node labels. Default: none."""

    def __post_init__(self) -> None:
        if instance_type(self.instance_type).gpus == 0:
            raise ValueError(
                f"gpu node group instance_type must have GPUs, got {self.instance_type!r}"
            )


class GpuNodeGroup(Component):
    """A managed node group that only pods which ask for a GPU can land on."""

    node_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: GpuNodeGroupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        facts = instance_type(args.instance_type)
        template = node_launch_template(self, name, disk_gib=args.disk_gib)
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=args.cluster_name,
            node_group_name=self.names.of(name),
            node_role_arn=args.node_role_arn,
            subnet_ids=args.subnet_ids,
            instance_types=[args.instance_type],
            ami_type="AL2023_x86_64_NVIDIA",
            capacity_type=args.capacity_type,
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(str),
            },
            scaling_config=scaling_config(args.scaling),
            taints=[{"key": GPU_TAINT_KEY, "value": "true", "effect": "NO_SCHEDULE"}],
            labels={
                "plinth.dev/pool": name,
                "nvidia.com/gpu.present": "true",
                "nvidia.com/gpu.product": facts.gpu_name,
                "nvidia.com/gpu.count": str(facts.gpus),
                **args.labels,
            },
            tags=self.tags(name),
            opts=self.child,
        )
        self.node_group_name = group.node_group_name
        self.seal()


def scaling_config(scaling: Scaling) -> aws.eks.NodeGroupScalingConfigArgs:
    """The bounds of a node group in EKS's shape."""
    return aws.eks.NodeGroupScalingConfigArgs(
        min_size=scaling.min_size,
        desired_size=scaling.desired_size,
        max_size=scaling.max_size,
    )


def node_launch_template(
    component: Component, role: str, *, disk_gib: int
) -> aws.ec2.LaunchTemplate:
    """Nodes with an encrypted root volume whose pods cannot reach the node's credentials.

    A hop limit of 1 keeps IMDSv2 answers on the node itself (EKS best practices, identity).
    """
    return aws.ec2.LaunchTemplate(
        f"{component.component_name}-{role}-template",
        name=component.names.of(f"{role}-nodes"),
        update_default_version=True,
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        },
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_size": disk_gib,
                    "volume_type": "gp3",
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
        ],
        tags=component.tags(f"{role}-nodes"),
        opts=component.child,
    )
