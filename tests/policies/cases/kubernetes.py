"""Programs for the rules about clusters, launch templates and Karpenter; see case.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi_aws as aws
from pulumi_kubernetes.apiextensions import CustomResource

from tests.policies.cases.case import Case, later
from tests.policies.cases.platform import node_group


def cluster(**network: Any) -> aws.eks.Cluster:
    return aws.eks.Cluster(
        "cluster",
        role_arn="role",
        vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=["subnet"], **network),
    )


def node_pool(
    instance_type: Any = "g6.12xlarge", *, limits: Any = None, taint: str = ""
) -> CustomResource:
    requirement = {"key": "node.kubernetes.io/instance-type", "operator": "In"}
    return CustomResource(
        "pool",
        api_version="karpenter.sh/v1",
        kind="NodePool",
        metadata={"name": "pool"},
        spec={
            "limits": limits or {"cpu": "100"},
            "template": {
                "spec": {
                    "requirements": [{**requirement, "values": [instance_type]}],
                    "taints": [{"key": taint, "effect": "NoSchedule"}] if taint else [],
                }
            },
        },
    )


def node_class(*aliases: Any) -> CustomResource:
    return CustomResource(
        "class",
        api_version="karpenter.k8s.aws/v1",
        kind="EC2NodeClass",
        metadata={"name": "pool"},
        spec={"amiSelectorTerms": [{"alias": alias} for alias in aliases]},
    )


def template(group: Any = "group", reservation: str | None = None) -> aws.ec2.LaunchTemplate:
    target: Any = {"capacity_reservation_target": {"capacity_reservation_id": reservation}}
    return aws.ec2.LaunchTemplate(
        "template",
        placement={"group_name": group} if group else None,
        capacity_reservation_specification=target if reservation else None,
    )


KUBERNETES = [
    Case(
        rule="ML-K8-001",
        status="pass",
        program=partial(
            cluster, endpoint_public_access=True, public_access_cidrs=["203.0.113.7/32"]
        ),
    ),
    Case(
        rule="ML-K8-001",
        status="fail",
        program=cluster,
        says="publicAccessCidrs must not hold 0.0.0.0/0",
    ),
    Case(
        rule="ML-K8-001",
        status="fail",
        program=partial(cluster, public_access_cidrs=["203.0.113.7/32", "::/0"]),
        says="must not hold ::/0",
    ),
    Case(
        rule="ML-K8-001",
        status="unknown",
        program=lambda: cluster(public_access_cidrs=[later()]),
        preview=True,
        says="publicAccessCidrs",
    ),
    Case(
        rule="ML-K8-001",
        status="not_applicable",
        program=partial(cluster, endpoint_public_access=False),
        says="private",
    ),
    Case(
        rule="ML-K8-006",
        status="pass",
        program=partial(node_pool, limits={"nvidia.com/gpu": "8"}),
    ),
    Case(
        rule="ML-K8-006",
        status="fail",
        program=node_pool,
        says="spec.limits must have nvidia.com/gpu",
    ),
    Case(
        rule="ML-K8-006",
        status="fail",
        program=partial(node_pool, "m6i.large", taint="nvidia.com/gpu"),
        says="spec.limits must have nvidia.com/gpu",
    ),
    Case(
        rule="ML-K8-006",
        status="unknown",
        program=lambda: node_pool(later()),
        preview=True,
        says="requirements",
    ),
    Case(
        rule="ML-K8-006",
        status="not_applicable",
        program=partial(node_pool, "m6i.large"),
        says="no instance type",
    ),
    Case(
        rule="ML-K8-007",
        status="pass",
        program=node_group,
    ),
    Case(
        rule="ML-K8-007",
        status="pass",
        program=partial(node_class, "al2023@v20251120"),
    ),
    Case(
        rule="ML-K8-007",
        status="fail",
        program=partial(node_group, release_version=None),
        says="releaseVersion must name a release",
    ),
    Case(
        rule="ML-K8-007",
        status="fail",
        program=partial(node_class, "al2023@latest"),
        says="got al2023@latest",
    ),
    Case(
        rule="ML-K8-007",
        status="fail",
        program=node_class,
        says="amiSelectorTerms must name a release",
    ),
    Case(
        rule="ML-K8-007",
        status="unknown",
        program=lambda: node_class(later()),
        preview=True,
        says="alias",
    ),
    Case(
        rule="ML-K8-007",
        status="not_applicable",
        program=partial(node_group, "m6i.large", taint=None),
        says="no instance type has an accelerator",
    ),
    Case(rule="ML-K8-019", status="pass", program=template),
    Case(
        rule="ML-K8-019",
        status="fail",
        program=partial(template, reservation="cr-1"),
        says="it names a capacity reservation",
    ),
    Case(
        rule="ML-K8-019",
        status="unknown",
        program=lambda: template(later(), reservation="cr-1"),
        preview=True,
        says="placement",
    ),
    Case(
        rule="ML-K8-019",
        status="not_applicable",
        program=partial(template, None, reservation="cr-1"),
        says="no placement group",
    ),
]
