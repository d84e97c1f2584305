"""What people may do: explore, engineer, approve, deploy; no persona does two of the last three."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from infra.component import Component, ComponentArgs, Role, Statement
from infra.deploying import (
    NAMED,
    READS,
    ROLES,
    RUNS_ROLES,
    UNNAMED,
    WITHOUT_RESOURCE,
    dashboards,
    service_linked_roles,
    stream_keys,
)
from infra.instances import INSTANCE_TYPES
from infra.naming import GITHUB, Names

PERSONAS = ("data-scientist", "ml-engineer", "approver", "deployer")

JOBS = ("HyperParameterTuningJob", "ProcessingJob", "TrainingJob")
"""Jobs that people start; each can run in a VPC and with a volume key."""

JOB_ARNS = ("hyper-parameter-tuning-job", "processing-job", "training-job")


@dataclass(frozen=True, kw_only=True)
class PersonasArgs(ComponentArgs):
    """Who the personas are, and on what they may spend."""

    roles: Mapping[str, Role]
    """A role for each of `PERSONAS`."""

    instance_types: Sequence[str]
    """SageMaker instance types (`ml.m5.large`) that people may start jobs on."""


class Personas(Component):
    """The policies of the personas, by names alone: they are known before anything exists.

    Reading data, using keys and passing roles is granted by the components that own them.
    """

    def __init__(
        self, name: str, args: PersonasArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        guards = job_guards(args.instance_types)
        explore = [*_explore(self.names), *guards]
        for persona, statements in (
            ("data-scientist", explore),
            ("ml-engineer", [*explore, *_engineer(self.names)]),
            ("approver", _approve(self.names)),
            ("deployer", _deploy(self.names)),
        ):
            self.grant(args.roles[persona], "work", statements)
        self.seal()


def job_guards(instance_types: Sequence[str]) -> list[Statement]:
    """Denials that hold whatever else is granted: jobs run in the VPC, with a volume key, small.

    SageMaker refuses a volume key on instance types with local NVMe storage, so there none is asked
    for (SageMaker developer guide, condition keys; CreateTrainingJob, VolumeKmsKeyId).
    """
    nvme = sorted(f"ml.{name}" for name, facts in INSTANCE_TYPES.items() if facts.local_nvme)

    def deny(sid: str, condition: Mapping[str, object]) -> Statement:
        actions = [f"sagemaker:Create{job}" for job in JOBS]
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Action": actions,
            "Resource": "*",
            "Condition": condition,
        }

    return [
        deny("SubnetsRequired", {"Null": {"sagemaker:VpcSubnets": "true"}}),
        deny("SecurityGroupsRequired", {"Null": {"sagemaker:VpcSecurityGroupIds": "true"}}),
        deny(
            "VolumeKeyRequired",
            {
                "Null": {"sagemaker:VolumeKmsKey": "true"},
                "ForAnyValue:StringNotEquals": {"sagemaker:InstanceTypes": nvme},
            },
        ),
        deny(
            "InstanceTypes",
            {
                "ForAnyValue:StringNotEquals": {
                    "sagemaker:InstanceTypes": sorted(set(instance_types))
                }
            },
        ),
    ]


def _ours(names: Names, *kinds: str) -> list[str]:
    """ARNs of this environment's SageMaker resources of these kinds."""
    return [names.arn("sagemaker", f"{kind}/{names.of('*')}") for kind in kinds]


def _explore(names: Names) -> list[Statement]:
    """Start jobs of one's own, look at everything, read features and logs."""
    return [
        {
            "Sid": "Jobs",
            "Action": [
                "sagemaker:AddTags",
                *(f"sagemaker:{verb}{job}" for verb in ("Create", "Stop") for job in JOBS),
            ],
            "Resource": _ours(names, *JOB_ARNS),
        },
        {
            # listing and searching accept no resource (SageMaker, service authorization reference)
            "Sid": "Look",
            "Action": ["sagemaker:Describe*", "sagemaker:List*", "sagemaker:Search"],
            "Resource": ["*"],
        },
        {
            "Sid": "Features",
            "Action": ["sagemaker:BatchGetRecord", "sagemaker:GetRecord"],
            "Resource": _ours(names, "feature-group"),
        },
        {
            "Sid": "Logs",
            "Action": ["logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"],
            "Resource": [names.arn("logs", "log-group:/aws/sagemaker/*")],
        },
    ]


def _engineer(names: Names) -> list[Statement]:
    """Run the pipelines that the program defines, and ask the endpoints that it serves."""
    return [
        {
            "Sid": "Pipelines",
            "Action": [
                "sagemaker:RetryPipelineExecution",
                "sagemaker:StartPipelineExecution",
                "sagemaker:StopPipelineExecution",
            ],
            "Resource": _ours(names, "pipeline"),
        },
        {
            "Sid": "Ask",
            "Action": ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"],
            "Resource": _ours(names, "endpoint"),
        },
        {
            # metrics and alarms accept no resource (CloudWatch, service authorization reference)
            "Sid": "Metrics",
            "Action": ["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"],
            "Resource": ["*"],
        },
        {
            "Sid": "NoApproval",
            "Effect": "Deny",
            "Action": ["sagemaker:UpdateModelPackage"],
            "Resource": "*",
        },
    ]


def _approve(names: Names) -> list[Statement]:
    """Say yes or no to a version, and nothing that starts or deploys anything."""
    return [
        {
            "Sid": "Decide",
            "Action": ["sagemaker:UpdateModelPackage"],
            "Resource": _ours(names, "model-package"),
            "Condition": {
                "StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}
            },
        },
        {
            "Sid": "Look",
            "Action": [
                "sagemaker:DescribeModelPackage",
                "sagemaker:DescribeModelPackageGroup",
                "sagemaker:ListModelPackages",
            ],
            "Resource": _ours(names, "model-package", "model-package-group"),
        },
        {
            "Sid": "NothingElse",
            "Effect": "Deny",
            "Action": [
                "iam:PassRole",
                "sagemaker:Create*",
                "sagemaker:Delete*",
                "sagemaker:Start*",
                "sagemaker:UpdateEndpoint*",
            ],
            "Resource": "*",
        },
    ]


def _deploy(names: Names) -> list[Statement]:
    """Create and change what the program consists of, in this environment, and approve nothing.

    How far this goes is what the permissions boundary says; roles are only those that have it.
    """
    named = {service: [names.arn(service, r) for r in found] for service, found in NAMED.items()}
    resources = sorted(arn.format(name=names.of("*")) for arns in named.values() for arn in arns)
    return [
        {"Sid": "Named", "Action": [f"{service}:*" for service in NAMED], "Resource": resources},
        {"Sid": "Buckets", "Action": ["s3:*"], "Resource": [names.bucket_arn(names.of("*"))]},
        {
            "Sid": "Unnamed",
            "Action": [*(f"{service}:*" for service in UNNAMED), *WITHOUT_RESOURCE],
            "Resource": ["*"],
            "Condition": {
                "StringEquals": {"aws:RequestedRegion": sorted({names.region, names.global_region})}
            },
        },
        {
            "Sid": "Look",
            "Action": [*READS, "iam:Get*", "iam:List*", "iam:SimulatePrincipalPolicy"],
            "Resource": ["*"],
        },
        {"Sid": "Dashboards", "Action": ["cloudwatch:*"], "Resource": dashboards(names)},
        stream_keys(names),
        *_deploy_roles(names),
        {
            "Sid": "NoApproval",
            "Effect": "Deny",
            "Action": ["sagemaker:UpdateModelPackage"],
            "Resource": "*",
        },
    ]


def _deploy_roles(names: Names) -> list[Statement]:
    """Roles of ours and of services, handing them on, and never becoming somebody else."""
    roles = [
        names.iam_arn(f"{kind}/{names.of('*')}") for kind in ("instance-profile", "policy", "role")
    ]
    return [
        {"Sid": "Roles", "Action": [f"iam:{action}" for action in ROLES], "Resource": roles},
        service_linked_roles(names),
        {
            # of the workflow runs that deploy, where this environment makes it
            "Sid": "GitHub",
            "Action": ["iam:*OpenIDConnectProvider*"],
            "Resource": [names.iam_arn(f"oidc-provider/{GITHUB}")],
        },
        {
            "Sid": "PassRecorder",
            "Action": ["iam:PassRole"],
            "Resource": [names.service_linked_role_arn("config", "AWSServiceRoleForConfig")],
        },
        {
            "Sid": "PassRoles",
            "Action": ["iam:PassRole"],
            "Resource": [names.role_arn("*")],
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": [f"{service}.amazonaws.com" for service in RUNS_ROLES]
                }
            },
        },
        {
            # or whoever deploys could become the approver, or more than a deployer
            "Sid": "NotOneself",
            "Effect": "Deny",
            "Action": ["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"],
            "Resource": [names.role_arn("approver"), names.role_arn("deployer")],
        },
    ]
