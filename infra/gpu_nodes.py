"""Managed node groups with GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs
from infra.instances import instance_type, schedulable_gpus
from infra.nodes import (
    AMI_FAMILIES,
    GPU_TAINT_KEY,
    Scaling,
    gpu_labels,
    launch_template,
    node_config,
    scaling_config,
)


@dataclass(frozen=True, kw_only=True)
class GpuNodeGroupArgs(ComponentArgs):
    """One pool of equal GPU nodes."""

    cluster_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]

    instance_type: str
    """An EC2 type with GPUs that has a row in `infra/instances.py`."""

    scaling: Scaling

    release_version: str
    """Image of the nodes, such as `1.34.2-20251120`: never the latest."""

    ami_family: str = "al2023-nvidia"
    """A key of `AMI_FAMILIES`. Default: Amazon Linux 2023."""

    capacity_type: str = "ON_DEMAND"
    """`ON_DEMAND` or `SPOT`. Default: on demand."""

    disk_gib: int = 200
    """Volume for images and logs; images with CUDA are large. Default: 200 GiB."""

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
        facts, family = instance_type(args.instance_type), AMI_FAMILIES[args.ami_family]
        template = launch_template(
            self,
            name,
            disk_gib=args.disk_gib,
            device_name=family.data_device,
            security_group_ids=args.security_group_ids,
            user_data=node_config(raid0=facts.local_nvme),
        )
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=args.cluster_name,
            node_group_name=self.names.of(name),
            node_role_arn=args.node_role_arn,
            subnet_ids=args.subnet_ids,
            instance_types=[args.instance_type],
            ami_type=family.ami_type,
            release_version=args.release_version,
            capacity_type=args.capacity_type,
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config=scaling_config(args.scaling),
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": True},
            taints=[{"key": GPU_TAINT_KEY, "value": "true", "effect": "NO_SCHEDULE"}],
            labels={
                **gpu_labels(
                    name,
                    facts,
                    ami_family=args.ami_family,
                    schedulable=schedulable_gpus(args.instance_type),
                    efa=False,
                ),
                **args.labels,
            },
            tags=self.tags(name),
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["scalingConfig.desiredSize"],  # an autoscaler's to change
            ),
        )
        self.node_group_name = group.node_group_name
        self.seal()
