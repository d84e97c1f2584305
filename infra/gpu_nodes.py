"""Managed node groups with GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE
from infra.nodes import GpuPool, Scaling, launch_template, placement_group, scaling_config


@dataclass(frozen=True, kw_only=True)
class GpuNodeGroupArgs(ComponentArgs):
    """One pool of equal GPU nodes of a fixed range of sizes."""

    cluster_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]

    subnet_ids: pulumi.Input[Sequence[str]]
    """One subnet where the pool is in one zone."""

    security_group_ids: Sequence[pulumi.Input[str]]

    pool: GpuPool
    scaling: Scaling

    capacity_type: str = "ON_DEMAND"
    """`ON_DEMAND`, `SPOT` or `CAPACITY_BLOCK`. Default: on demand."""

    reservation_id: str | None = None
    """Capacity reservation or Capacity Block that the nodes start in. Default: none."""

    kms_key_arn: pulumi.Input[str] | None = None
    """Key of the volumes. Default: the account's key for EBS."""

    node_repair: bool = True
    """Replace nodes that the monitoring agent finds broken. Default: on."""


class GpuNodeGroup(Component):
    """A managed node group that only pods which ask for a GPU can land on."""

    node_group_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: GpuNodeGroupArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        pool = args.pool
        template = launch_template(
            self,
            name,
            disk_gib=pool.disk_gib,
            device_name=pool.family.data_device,
            kms_key_arn=args.kms_key_arn,
            security_group_ids=args.security_group_ids,
            interfaces=pool.interfaces,
            user_data=pool.user_data,
            more=self._capacity(args),
        )
        # the type of a Capacity Block stands in its template, and must not stand here as well
        types = None if args.capacity_type == "CAPACITY_BLOCK" else [pool.instance_type]
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=args.cluster_name,
            node_group_name=self.names.of(name),
            node_role_arn=args.node_role_arn,
            subnet_ids=args.subnet_ids,
            instance_types=types,
            ami_type=pool.family.ami_type,
            release_version=pool.release_version,
            capacity_type=args.capacity_type,
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config=scaling_config(args.scaling),
            update_config={"max_unavailable": 1},
            node_repair_config={"enabled": args.node_repair},
            taints=[{"key": GPU_RESOURCE, "value": "true", "effect": "NO_SCHEDULE"}],
            labels=pool.node_labels(name),
            tags=self.tags(name),
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["scalingConfig.desiredSize"],  # an autoscaler's to change
            ),
        )
        self.node_group_name = group.node_group_name
        self.seal()

    def _capacity(self, args: GpuNodeGroupArgs) -> dict[str, Any]:
        """Where the launch template finds its instances."""
        found: dict[str, Any] = {}
        if args.pool.placement_group:
            group = placement_group(self, self.component_name)
            found["placement"] = aws.ec2.LaunchTemplatePlacementArgs(group_name=group.name)
        if args.reservation_id is not None:
            # as a dictionary: the name of the class is longer than a line
            target: Any = {"capacity_reservation_id": args.reservation_id}
            found["capacity_reservation_specification"] = (
                aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(
                    capacity_reservation_target=target
                )
            )
        if args.capacity_type == "CAPACITY_BLOCK":
            found["instance_type"] = args.pool.instance_type
            found["instance_market_options"] = aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(
                market_type="capacity-block"
            )
        return found
