"""Whether the instances of a node group could join their cluster, by what their roles may do.

A kubelet describes its instance and fetches images as the node's role; pods get addresses through
the network plugin, which acts as the role of its pods, or else as the node's. Sources: EKS User
Guide, "Amazon EKS node IAM role", "Amazon VPC CNI plugin for Kubernetes", "Troubleshoot problems
with Amazon EKS clusters and nodes" (`Instances failed to join the kubernetes cluster`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.local.aws.eks.pod_identity import association_of
from stacks.local.aws.iam.asked import Check
from stacks.local.aws.iam.authorizer import Authorizer
from stacks.local.aws.recorded.eks import ADDON
from stacks.local.aws.recorded.recorder import Store

KUBELET = ("ec2:DescribeInstances", "ecr:GetAuthorizationToken")
"""Actions that AmazonEKSWorkerNodePolicy and AmazonEC2ContainerRegistryPullOnly are for."""

PLUGIN: Mapping[str, str] = {
    "ipv4": "ec2:AssignPrivateIpAddresses",
    "ipv6": "ec2:AssignIpv6Addresses",
}
"""Family of a cluster's addresses -> the action that AmazonEKS_CNI_Policy is for."""

PLUGIN_ACCOUNT = ("kube-system", "aws-node")
"""Namespace and name of the network plugin's service account."""

INSTANCE = "i-0123456789abcdef0"
"""Name of an instance's session."""


def join_failure(authorizer: Authorizer, store: Store, cluster: Any, group: Any) -> str:
    """What AWS denies a role of the group's nodes; empty: they join."""
    for action in KUBELET:
        check = Check(action=action, resource="*")
        if told := authorizer.refuses_role(group.node_role, INSTANCE, check):
            return told
    place = authorizer.place
    addresses = PLUGIN[(cluster.kubernetes_network_config or {}).get("ipFamily", "ipv4")]
    interfaces = f"arn:{place.partition}:ec2:{place.region}:{place.account}:network-interface/*"
    plugin = _plugin_role(store, cluster.name) or group.node_role
    return authorizer.refuses_role(plugin, "aws-node", Check(action=addresses, resource=interfaces))


def _plugin_role(store: Store, cluster: str) -> str:
    """The network plugin's own role, by Pod Identity or its add-on; empty: it has none."""
    if association := association_of(store, cluster, *PLUGIN_ACCOUNT):
        return str(association["roleArn"])
    addon = store.of(ADDON).get((cluster, "vpc-cni"))
    return str(addon.members.get("serviceAccountRoleArn") or "") if addon else ""
