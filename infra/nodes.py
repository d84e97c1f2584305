"""What every way to get nodes shares: sizes, taints, images, launch templates."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component
from infra.instances import InstanceType

POOL_LABEL = "plinth.dev/pool"
"""Label of every node: the pool it belongs to."""

AMI_LABEL = "plinth.dev/ami-family"
"""Label of every GPU node: Bottlerocket brings a device plugin of its own, AL2023 does not."""

GPU_TAINT_KEY = "nvidia.com/gpu"
"""Keeps pods that ask for no GPU off GPU nodes; NVIDIA's device plugin tolerates it."""


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How many nodes a group may have."""

    min_size: int
    desired_size: int
    max_size: int


@dataclass(frozen=True, kw_only=True)
class AmiFamily:
    """An EKS optimized image with NVIDIA drivers."""

    ami_type: str
    """What a managed node group calls it (EKS API, Nodegroup amiType)."""

    karpenter: str
    """What an EC2NodeClass calls it in an alias."""

    data_device: str
    """Device of the volume that holds images and logs."""


AMI_FAMILIES = {
    "al2023-nvidia": AmiFamily(
        ami_type="AL2023_x86_64_NVIDIA", karpenter="al2023", data_device="/dev/xvda"
    ),
    "bottlerocket-nvidia": AmiFamily(
        ami_type="BOTTLEROCKET_x86_64_NVIDIA", karpenter="bottlerocket", data_device="/dev/xvdb"
    ),
}


def scaling_config(scaling: Scaling) -> aws.eks.NodeGroupScalingConfigArgs:
    """The bounds of a node group in EKS's shape."""
    return aws.eks.NodeGroupScalingConfigArgs(
        min_size=scaling.min_size,
        desired_size=scaling.desired_size,
        max_size=scaling.max_size,
    )


def gpu_labels(
    pool: str, facts: InstanceType, *, ami_family: str, schedulable: int, efa: bool
) -> dict[str, str]:
    """What a GPU node says about itself, in the words of NVIDIA's and EFA's device plugins."""
    labels = {
        POOL_LABEL: pool,
        AMI_LABEL: ami_family,
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": facts.gpu_name,
        "nvidia.com/gpu.count": str(schedulable),
    }
    return {**labels, "vpc.amazonaws.com/efa.present": "true"} if efa else labels


def efa_cards(facts: InstanceType) -> list[tuple[int, int, str]]:
    """Network card, device and type of every interface of a node with all its EFA devices.

    Device 0 of card 0 carries the IP traffic; each card has one EFA device without an address of
    its own: device 1 of card 0, device 0 of the others (Amazon EC2 user guide, maximize EFA).
    """
    return [
        (0, 0, "interface"),
        *((card, 1 if card == 0 else 0, "efa-only") for card in range(facts.efa_interfaces)),
    ]


def node_config(*, raid0: bool) -> str:
    """User data of an AL2023 node: local NVMe disks become one array for images and scratch.

    (Amazon EKS AMI, nodeadm, LocalStorageOptions.)
    """
    strategy = "\n  instance:\n    localStorage:\n      strategy: RAID0" if raid0 else " {}"
    return (
        "MIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="//"\n\n'
        "--//\n"
        "Content-Type: application/node.eks.aws\n\n"
        "apiVersion: node.eks.aws/v1alpha1\n"
        "kind: NodeConfig\n"
        f"spec:{strategy}\n\n"
        "--//--\n"
    )


def launch_template(
    component: Component,
    role: str,
    *,
    disk_gib: int,
    device_name: str = "/dev/xvda",
    kms_key_arn: pulumi.Input[str] | None = None,
    security_group_ids: Sequence[pulumi.Input[str]],
    interfaces: Sequence[tuple[int, int, str]] = (),
    user_data: str = "",
    more: Mapping[str, Any] | None = None,
) -> aws.ec2.LaunchTemplate:
    """Nodes with encrypted volumes whose pods cannot reach the node's credentials.

    A hop limit of 1 keeps IMDSv2 answers on the node itself (EKS best practices, identity).
    EC2 takes the security groups per interface once one is described.
    """
    arguments: dict[str, Any] = dict(more or {})
    if interfaces:
        arguments["network_interfaces"] = [
            {
                "network_card_index": card,
                "device_index": device,
                "interface_type": kind,
                "security_groups": list(security_group_ids),
                "delete_on_termination": "true",
            }
            for card, device, kind in interfaces
        ]
    else:
        arguments["vpc_security_group_ids"] = list(security_group_ids)
    if user_data:
        arguments["user_data"] = base64.b64encode(user_data.encode()).decode()
    tags = component.tags(f"{role}-nodes")
    return aws.ec2.LaunchTemplate(
        f"{component.component_name}-{role}-template",
        name=component.names.of(f"{role}-nodes"),
        update_default_version=True,
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            http_put_response_hop_limit=1,
        ),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=device_name,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_size=disk_gib,
                    volume_type="gp3",
                    encrypted="true",
                    kms_key_id=kms_key_arn,
                    delete_on_termination="true",
                ),
            )
        ],
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume")
        ],
        tags=tags,
        opts=component.child,
        **arguments,
    )
