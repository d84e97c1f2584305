"""What Karpenter's controller may do, and who may fill its queue of interruptions."""

from collections.abc import Sequence
from typing import Any

import pulumi

from infra.component import Role, Statement
from infra.naming import Names


def launch_statements(names: Names, node_role: Role) -> list[Statement]:
    """Start, tag and end instances, each bound to the tags of this cluster's node pools.

    (Karpenter, CloudFormation reference; without the statements for instance profiles, since
    the nodes' profile is made here.)
    """
    pass_role: Statement = {
        "Action": ["iam:PassRole"],
        "Resource": [node_role.arn],
        "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    }
    return [*_starting(names), *_tagging(names), *_ending(names), pass_role]


def _ec2(names: Names, *kinds: str) -> list[str]:
    return [names.arn("ec2", f"{kind}/*") for kind in kinds]


def _made(names: Names) -> list[str]:
    """What comes into being with an instance."""
    kinds = ("fleet", "instance", "launch-template", "network-interface")
    return _ec2(names, *kinds, "spot-instances-request", "volume")


def _requested(names: Names, **more: Sequence[str]) -> dict[str, dict[str, object]]:
    """The condition on what is asked for: it will carry the tags of this cluster's pools."""
    cluster = names.of("cluster")
    equal = {
        f"aws:RequestTag/kubernetes.io/cluster/{cluster}": "owned",
        "aws:RequestTag/eks:eks-cluster-name": cluster,
    }
    return {
        "StringEquals": {**equal, **more},
        "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
    }


def _existing(names: Names) -> dict[str, dict[str, object]]:
    """The condition on what is there: it carries the tags of this cluster's pools."""
    owned = f"kubernetes.io/cluster/{names.of('cluster')}"
    return {
        "StringEquals": {f"aws:ResourceTag/{owned}": "owned"},
        "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
    }


def _starting(names: Names) -> list[Statement]:
    start = ["ec2:CreateFleet", "ec2:RunInstances"]
    public = [
        f"arn:{names.partition}:ec2:{names.region}::{kind}/*" for kind in ("image", "snapshot")
    ]
    used = _ec2(names, "capacity-reservation", "placement-group", "security-group", "subnet")
    return [
        {"Action": start, "Resource": [*public, *used]},
        {
            "Action": start,
            "Resource": _ec2(names, "launch-template"),
            "Condition": _existing(names),
        },
        {
            "Action": [*start, "ec2:CreateLaunchTemplate"],
            "Resource": _made(names),
            "Condition": _requested(names),
        },
    ]


def _tagging(names: Names) -> list[Statement]:
    creating = ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]
    added = ["Name", "eks:eks-cluster-name", "karpenter.sh/nodeclaim"]
    return [
        {
            "Action": ["ec2:CreateTags"],
            "Resource": _made(names),
            "Condition": _requested(names, **{"ec2:CreateAction": creating}),
        },
        {
            "Action": ["ec2:CreateTags"],
            "Resource": _ec2(names, "instance"),
            "Condition": {
                **_existing(names),
                "ForAllValues:StringEquals": {"aws:TagKeys": added},
            },
        },
    ]


def _ending(names: Names) -> list[Statement]:
    return [
        {
            "Action": ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
            "Resource": _ec2(names, "instance", "launch-template"),
            "Condition": _existing(names),
        }
    ]


def look_statements(names: Names, queue_arn: pulumi.Output[str]) -> list[Statement]:
    """Find images, prices, subnets and reservations; read the queue."""
    region = names.region
    return [
        {
            # EC2's describe calls know no resources (service authorization reference)
            "Action": [
                f"ec2:Describe{what}"
                for what in (
                    "CapacityReservations",
                    "Images",
                    "InstanceStatus",
                    "InstanceTypeOfferings",
                    "InstanceTypes",
                    "Instances",
                    "LaunchTemplates",
                    "PlacementGroups",
                    "SecurityGroups",
                    "SpotPriceHistory",
                    "Subnets",
                )
            ],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"aws:RequestedRegion": region}},
        },
        {
            # neither has resources: the price list is public, profiles are listed by account
            "Action": ["iam:ListInstanceProfiles", "pricing:GetProducts"],
            "Resource": ["*"],
        },
        {
            "Action": ["iam:GetInstanceProfile"],
            "Resource": [names.iam_arn(f"instance-profile/{names.of('karpenter-nodes')}")],
        },
        {
            "Action": ["ssm:GetParameter"],
            "Resource": [f"arn:{names.partition}:ssm:{region}::parameter/aws/service/*"],
        },
        {
            "Action": ["eks:DescribeCluster"],
            "Resource": [names.arn("eks", f"cluster/{names.of('cluster')}")],
        },
        {
            "Action": ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            "Resource": [queue_arn],
        },
    ]


def queue_policy(names: Names, queue_arn: pulumi.Output[str]) -> dict[str, Any]:
    """Only EventBridge's rules of ours write, and only over TLS."""
    rules = names.arn("events", f"rule/{names.of('karpenter-*')}")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Warnings",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnLike": {"aws:SourceArn": rules}},
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": queue_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
