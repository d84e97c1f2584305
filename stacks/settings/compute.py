"""The cluster and its GPU pools."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.part import Part

ADDONS = {
    "aws-ebs-csi-driver": "v1.54.0-eksbuild.1",
    "coredns": "v1.12.4-eksbuild.1",
    "eks-node-monitoring-agent": "v1.4.2-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.10-eksbuild.2",
    "kube-proxy": "v1.34.1-eksbuild.2",
    "vpc-cni": "v1.21.1-eksbuild.1",
}
"""EKS add-ons of Kubernetes 1.34 (`aws eks describe-addon-versions`)."""

AMI_RELEASE_VERSION = "1.34.2-20251120"
"""Release of Amazon's AL2023 images for Kubernetes 1.34 (awslabs/amazon-eks-ami, releases)."""


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
    version: Annotated[str, Field(pattern=r"^1\.\d\d$")] = "1.34"
    system_instance_types: list[str]
    system_scaling: Scaling

    system_release_version: str = AMI_RELEASE_VERSION
    """Image of the system nodes. Default: a release of Kubernetes 1.34, pinned."""

    addons: dict[str, str] = ADDONS
    """Version by add-on. Default: those of Kubernetes 1.34, pinned."""

    public_access_cidrs: list[str] = Field(default_factory=list)
    """Who may reach the API endpoint from the internet. Default: nobody, it is private."""

    admin_role_arns: dict[str, str] = Field(default_factory=dict)
    """IAM roles that administer the cluster, such as the one that deploys; by a name of your own.
    Default: none beyond the persona that deploys."""

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


class GpuPool(Part):
    instance_type: str
    scaling: Scaling
    capacity_type: Literal["ON_DEMAND", "SPOT"] = "ON_DEMAND"
    disk_gib: Annotated[int, Field(ge=50)] = 200
    release_version: str = AMI_RELEASE_VERSION
