"""What Karpenter's controller may do, and who may fill its queue of interruptions."""

from typing import Any

import pulumi

from infra.component import Role, Statement
from infra.naming import Names


def launch_statements(names: Names, node_role: Role) -> list[Statement]:
    """Start, tag and end instances, each bound to the tags of this cluster's node pools.

    (Karpenter, CloudFormation reference; without the statements for instance profiles, since
    the nodes' profile is made here.)
    """
    region, cluster = names.region, names.of("cluster")
    owned = f"kubernetes.io/cluster/{cluster}"

    def ec2(*kinds: str, account: str = names.account_id) -> list[str]:
        return [f"arn:aws:ec2:{region}:{account}:{kind}/*" for kind in kinds]

    made = ec2(
        "fleet",
        "instance",
        "launch-template",
        "network-interface",
        "spot-instances-request",
        "volume",
    )
    requested = {
        "StringEquals": {
            f"aws:RequestTag/{owned}": "owned",
            "aws:RequestTag/eks:eks-cluster-name": cluster,
        },
        "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
    }
    existing = {
        "StringEquals": {f"aws:ResourceTag/{owned}": "owned"},
        "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
    }
    start = ["ec2:CreateFleet", "ec2:RunInstances"]
    used = ("capacity-reservation", "placement-group", "security-group", "subnet")
    return [
        {"Action": start, "Resource": [*ec2("image", "snapshot", account=""), *ec2(*used)]},
        {"Action": start, "Resource": ec2("launch-template"), "Condition": existing},
        {
            "Action": [*start, "ec2:CreateLaunchTemplate"],
            "Resource": made,
            "Condition": requested,
        },
        {
            "Action": ["ec2:CreateTags"],
            "Resource": made,
            "Condition": {
                **requested,
                "StringEquals": {
                    **requested["StringEquals"],
                    "ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"],
                },
            },
        },
        {
            "Action": ["ec2:CreateTags"],
            "Resource": ec2("instance"),
            "Condition": {
                **existing,
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ["Name", "eks:eks-cluster-name", "karpenter.sh/nodeclaim"]
                },
            },
        },
        {
            "Action": ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
            "Resource": ec2("instance", "launch-template"),
            "Condition": existing,
        },
        {
            "Action": ["iam:PassRole"],
            "Resource": [node_role.arn],
            "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        },
    ]


def look_statements(names: Names, queue_arn: pulumi.Output[str]) -> list[Statement]:
    """Find images, prices, subnets and reservations; read the queue."""
    account, region = names.account_id, names.region
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
            "Resource": [f"arn:aws:iam::{account}:instance-profile/{names.of('karpenter-nodes')}"],
        },
        {
            "Action": ["ssm:GetParameter"],
            "Resource": [f"arn:aws:ssm:{region}::parameter/aws/service/*"],
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
