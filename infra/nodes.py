"""What every way to get nodes shares: sizes, images, labels, interfaces, launch templates."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component
from infra.instances import MIG_GPUS, InstanceType, instance_type, schedulable_gpus
from infra.naming import POOL_LABEL

AMI_LABEL = "plinth.dev/ami-family"
"""Label of every GPU node: Bottlerocket brings a device plugin of its own, AL2023 does not."""

SHARING_LABEL = "nvidia.com/device-plugin.config"
"""Label that tells NVIDIA's device plugin which of its configurations a node wants."""

MAX_PODS = 110
"""Pods per node with addresses in prefixes (EKS best practices, prefix mode)."""


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


@dataclass(frozen=True, kw_only=True)
class GpuPool:
    """Equal GPU nodes, however they come to be."""

    instance_type: str
    """An EC2 type with GPUs that has a row in `infra/instances.py`."""

    release_version: str
    """Image of the nodes, such as `1.35.6-20260818`: never the latest."""

    ami_family: str = "al2023-nvidia"
    """A key of `AMI_FAMILIES`. Default: Amazon Linux 2023."""

    disk_gib: int = 200
    """Volume for images and logs; images with CUDA are large. Default: 200 GiB."""

    efa: bool = False
    """Elastic Fabric Adapters on every network card. Default: none."""

    placement_group: bool = False
    """A cluster placement group of their own. Default: EC2 places them anywhere in the zone."""

    mig_profile: str | None = None
    """Slices that every GPU is cut into. Default: whole GPUs."""

    time_slicing_replicas: int = 1
    """Pods that take turns on a GPU. Default: one, no sharing."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Further node labels. Default: none."""

    def __post_init__(self) -> None:
        if self.facts.gpus == 0:
            raise ValueError(f"gpu pool instance_type must have GPUs, got {self.instance_type!r}")

    @property
    def facts(self) -> InstanceType:
        """What EC2 says about the type."""
        return instance_type(self.instance_type)

    @property
    def family(self) -> AmiFamily:
        """The kind of image."""
        return AMI_FAMILIES[self.ami_family]

    @property
    def interfaces(self) -> list[tuple[int, int, str]]:
        """Card, device and type of each network interface; empty: EC2's default."""
        return efa_cards(self.facts) if self.efa else []

    def node_labels(self, name: str) -> dict[str, str]:
        """What a node says about itself, in the words of NVIDIA's and EFA's device plugins."""
        gpus = schedulable_gpus(
            self.instance_type, mig_profile=self.mig_profile, replicas=self.time_slicing_replicas
        )
        labels = {
            POOL_LABEL: name,
            AMI_LABEL: self.ami_family,
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": self.facts.gpu_name,
            "nvidia.com/gpu.count": str(gpus),
        }
        if self.efa:
            labels["vpc.amazonaws.com/efa.present"] = "true"
        if self.time_slicing_replicas > 1:
            labels[SHARING_LABEL] = sharing_config(self.time_slicing_replicas)
        return {**labels, **self.labels}

    @property
    def user_data(self) -> str:
        """How a node of a managed group prepares its disks and GPUs before it joins."""
        if self.ami_family == "bottlerocket-nvidia":
            return bottlerocket_settings(self)
        return node_config(raid0=self.facts.local_nvme)


def sharing_config(replicas: int) -> str:
    """Name of the device plugin's configuration for so many pods per GPU."""
    return f"time-slicing-{replicas}"


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


def bottlerocket_settings(pool: GpuPool) -> str:
    """User data of a Bottlerocket node, TOML (Bottlerocket, kubelet-device-plugins settings)."""
    plugin, parts = "settings.kubelet-device-plugins.nvidia", []
    if pool.mig_profile:
        gpu = MIG_GPUS[pool.instance_type]
        parts.append(
            f'[{plugin}]\ndevice-partitioning-strategy = "mig"\n\n'
            f'[{plugin}.mig.profile]\n"{gpu}" = "{pool.mig_profile}"\n'
        )
    if pool.time_slicing_replicas > 1:
        parts.append(
            f'[{plugin}]\ndevice-sharing-strategy = "time-slicing"\n\n'
            f"[{plugin}.time-slicing]\nreplicas = {pool.time_slicing_replicas}\n"
        )
    if pool.facts.local_nvme:
        parts.append(BOTTLEROCKET_RAID0)
    return "\n".join(parts)


BOTTLEROCKET_RAID0 = """\
[settings.bootstrap-commands.k8s-ephemeral-storage]
commands = [
  ["apiclient", "ephemeral-storage", "init"],
  ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", \
"/var/lib/kubelet", "/var/log/pods"],
]
essential = true
mode = "always"
"""
"""Local NVMe disks become one array for images and scratch (Bottlerocket, ephemeral storage)."""


def placement_group(component: Component, pool: str) -> aws.ec2.PlacementGroup:
    """Nodes close to each other in one zone, as training on several nodes wants them."""
    return aws.ec2.PlacementGroup(
        f"{component.component_name}-{pool}-placement",
        name=component.names.of(pool),
        strategy="cluster",
        tags=component.tags(pool),
        opts=component.child,
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
    """
    arguments = {**(more or {}), **_attached(list(security_group_ids), interfaces)}
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


def _attached(
    security_group_ids: list[pulumi.Input[str]], interfaces: Sequence[tuple[int, int, str]]
) -> dict[str, Any]:
    """EC2 takes the security groups per interface once one is described."""
    if not interfaces:
        return {"vpc_security_group_ids": security_group_ids}
    described = [
        {
            "network_card_index": card,
            "device_index": device,
            "interface_type": kind,
            "security_groups": security_group_ids,
            "delete_on_termination": "true",
        }
        for card, device, kind in interfaces
    ]
    return {"network_interfaces": described}
