"""Roles that AWS services have in an account, and which of them a program needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policies.data import Resource

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
CAPACITY_TYPE = "karpenter.sh/capacity-type"


@dataclass(frozen=True, kw_only=True)
class ServiceLinkedRole:
    """One role; AWS makes it where its service is used first, or somebody has to."""

    name: str
    service: str
    """As `aws iam create-service-linked-role --aws-service-name` takes it."""

    needed_by: Callable[[Resource], bool]
    made_on_use: bool = True
    """AWS makes it for a caller who may call iam:CreateServiceLinkedRole. Default: it does."""

    source: str


def of_types(*types: str) -> Callable[[Resource], bool]:
    """Whether a resource is of one of these types, or of a module (`aws:msk/`)."""
    return lambda resource: resource.type.startswith(types)


def on_spot(resource: Resource) -> bool:
    """Whether a pool of nodes may run on Spot."""
    if resource.type == NODE_GROUP:
        return bool(resource.inputs.get("capacityType") == "SPOT")
    if resource.type != NODE_POOL:
        return False
    found = resource.inputs.get("spec", "template", "spec", "requirements") or []
    return any(one["key"] == CAPACITY_TYPE and "spot" in one.get("values", ()) for one in found)


ROLES = (
    ServiceLinkedRole(
        name="AWSServiceRoleForAmazonEKS",
        service="eks.amazonaws.com",
        needed_by=of_types("aws:eks/cluster:"),
        source="EKS user guide, using roles for Amazon EKS clusters",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForAmazonEKSNodegroup",
        service="eks-nodegroup.amazonaws.com",
        needed_by=of_types(NODE_GROUP),
        source="EKS user guide, using roles for Amazon EKS node groups",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForAmazonEMRServerless",
        service="ops.emr-serverless.amazonaws.com",
        needed_by=of_types("aws:emrserverless/"),
        source="EMR Serverless user guide, using service-linked roles",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForAmazonFSx",
        service="fsx.amazonaws.com",
        needed_by=of_types("aws:fsx/"),
        source="FSx for Lustre user guide, using service-linked roles",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        service="sagemaker.application-autoscaling.amazonaws.com",
        needed_by=of_types("aws:appautoscaling/target:"),
        source="Application Auto Scaling user guide, service-linked roles",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForConfig",
        service="config.amazonaws.com",
        needed_by=of_types("aws:cfg/recorder:"),
        made_on_use=False,
        source="AWS Config developer guide, using service-linked roles",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForEC2Spot",
        service="spot.amazonaws.com",
        needed_by=on_spot,
        made_on_use=False,
        source="Karpenter 1.14, troubleshooting, missing service-linked role",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForElastiCache",
        service="elasticache.amazonaws.com",
        needed_by=of_types("aws:elasticache/"),
        source="ElastiCache user guide, using service-linked roles",
    ),
    ServiceLinkedRole(
        name="AWSServiceRoleForKafka",
        service="kafka.amazonaws.com",
        needed_by=of_types("aws:msk/"),
        source="Amazon MSK developer guide, service-linked roles",
    ),
)
"""Every one that a program of ours may need, in the order of their names."""


def needed(resources: Iterable[Resource]) -> list[ServiceLinkedRole]:
    """The roles without which some of these resources do not work."""
    found = list(resources)
    return [role for role in ROLES if any(role.needed_by(resource) for resource in found)]
