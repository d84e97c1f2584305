"""Who deploys a workload: one role each, that may touch what its workload owns and no more."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.component import Component, ComponentArgs, Role, Statement
from infra.deploying import (
    NAMED,
    READS,
    ROLES,
    dashboards,
    service_linked_roles,
    stream_keys,
)
from infra.naming import Names

SERVICES = (
    "cloudwatch", "dynamodb", "events", "kinesis", "lambda", "logs", "sagemaker", "scheduler",
    "sns", "sqs",
)  # fmt: skip
"""Services of NAMED that the stack of a workload consists of."""

RUNS_ROLES = ("budgets", "lambda", "pods.eks", "sagemaker", "scheduler")
"""Services that are given roles by the stack of a workload."""

SCALES = (
    "DeleteScalingPolicy", "DeleteScheduledAction", "DeregisterScalableTarget", "PutScalingPolicy",
    "PutScheduledAction", "RegisterScalableTarget", "TagResource",
)  # fmt: skip

USES_KEYS = ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKey*")


@dataclass(frozen=True, kw_only=True)
class DeployersArgs(ComponentArgs):
    """Who deploys what."""

    roles: Mapping[str, Role]
    """By the workload as AWS sees it."""


class Deployers(Component):
    """The policies of those who deploy one workload each, by names alone."""

    def __init__(
        self, name: str, args: DeployersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        for workload, role in args.roles.items():
            self.grant(role, "work", deploy_workload(self.names.of_workload(workload)))
        self.seal()


def deployer(workload: str) -> str:
    """Purpose of the role that deploys a workload: not among the names that it may change."""
    return f"deployer-{workload.replace('_', '-')}"


def deploy_workload(names: Names) -> list[Statement]:
    """Create and change what one workload owns, by its names, and nothing of anybody else's.

    The keys, buckets and images that it uses are the platform's: it may name them, not change them.
    How far its roles go is what the permissions boundary says, which they must have.
    """
    return [*_owned(names), *_without_names(names), *_roles(names)]


def _owned(names: Names) -> list[Statement]:
    own = names.of("*")
    resources = sorted(
        names.arn(service, resource.format(name=own))
        for service in SERVICES
        for resource in NAMED[service]
        if "{name}" in resource
    )
    return [
        {"Sid": "Named", "Action": [f"{service}:*" for service in SERVICES], "Resource": resources},
        {"Sid": "Dashboards", "Action": ["cloudwatch:*"], "Resource": dashboards(names)},
        {
            "Sid": "Budgets",
            "Action": ["budgets:*"],
            "Resource": [f"arn:{names.partition}:budgets::{names.account_id}:budget/{own}"],
        },
        {
            "Sid": "NoApproval",
            "Effect": "Deny",
            "Action": ["sagemaker:UpdateModelPackage"],
            "Resource": "*",
        },
    ]


def _without_names(names: Names) -> list[Statement]:
    """What belongs to something with a name of ours, and has none itself."""
    functions = names.arn("lambda", f"function:{names.of('*')}")
    return [
        {
            "Sid": "Mappings",
            "Action": ["lambda:*EventSourceMapping*"],
            "Resource": ["*"],
            "Condition": {"ArnLike": {"lambda:FunctionArn": functions}},
        },
        {
            # a scalable target has a random id (Application Auto Scaling, service authorization
            # reference)
            "Sid": "Scaling",
            "Action": [f"application-autoscaling:{action}" for action in SCALES],
            "Resource": [names.arn("application-autoscaling", "scalable-target/*")],
            "Condition": {
                "StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}
            },
        },
        *_used(names),
        {
            "Sid": "Look",
            "Action": [
                "application-autoscaling:Describe*",
                "ec2:Describe*",
                *READS,
                "iam:Get*",
                "iam:List*",
                "iam:SimulatePrincipalPolicy",
            ],
            "Resource": ["*"],
        },
        service_linked_roles(names),
    ]


def _used(names: Names) -> list[Statement]:
    """Keys and identities of the cluster: the platform's, used by what the workload has."""
    platform = names.platform
    return [
        {
            "Sid": "Keys",
            "Action": [f"kms:{action}" for action in USES_KEYS],
            "Resource": [names.arn("kms", "key/*")],
            "Condition": {
                "ForAnyValue:StringLike": {"kms:ResourceAliases": f"alias/{platform.of('*')}"}
            },
        },
        stream_keys(names),
        {
            "Sid": "Identities",
            "Action": [
                f"eks:{verb}PodIdentityAssociation" for verb in ("Create", "Delete", "Update")
            ],
            "Resource": [
                names.arn("eks", f"cluster/{platform.of('cluster')}"),
                names.arn("eks", f"podidentityassociation/{platform.of('cluster')}/*"),
            ],
        },
    ]


def _roles(names: Names) -> list[Statement]:
    kinds = ("policy", "role")
    services = [f"{service}.amazonaws.com" for service in RUNS_ROLES]
    return [
        {
            "Sid": "Roles",
            "Action": [f"iam:{action}" for action in ROLES],
            "Resource": [names.iam_arn(f"{kind}/{names.of('*')}") for kind in kinds],
        },
        {
            "Sid": "PassRoles",
            "Action": ["iam:PassRole"],
            "Resource": [names.role_arn("*")],
            "Condition": {"StringEquals": {"iam:PassedToService": services}},
        },
    ]
