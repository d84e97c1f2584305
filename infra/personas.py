"""What people may do: explore, engineer, approve, deploy; no persona does two of the last three."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from infra.component import Component, ComponentArgs, Role, Statement
from infra.instances import INSTANCE_TYPES
from infra.naming import Names


def deployer(layer: str) -> str:
    """Purpose of the role that deploys a workload; not below the names that it may change."""
    return f"deployer-{layer.replace('_', '-')}"


PERSONAS = ("data-scientist", "ml-engineer", "approver", "deployer")

JOBS = ("HyperParameterTuningJob", "ProcessingJob", "TrainingJob")
"""Jobs that people start; each can run in a VPC and with a volume key."""

JOB_ARNS = ("hyper-parameter-tuning-job", "processing-job", "training-job")

NAMED = {
    "cloudwatch": ("alarm:{name}", "dashboard/{name}"),
    "dynamodb": ("table/{name}",),
    "ecr": ("repository/{name}",),
    "eks": ("*/{name}",),
    "emr-serverless": ("/*",),
    "events": ("rule/{name}",),
    "firehose": ("deliverystream/{name}",),
    "kinesis": ("stream/{name}",),
    "lambda": ("event-source-mapping:*", "function:{name}"),
    "logs": ("log-group:*{name}",),
    "sagemaker": ("*/{name}",),
    "scheduler": ("schedule/*/{name}", "schedule-group/{name}"),
    "secretsmanager": ("secret:*{name}",),
    "sns": ("{name}",),
    "sqs": ("{name}",),
    "ssm": ("parameter/*{name}",),
    "states": ("stateMachine:{name}",),
}
"""Services whose resources carry our names, and the resources in their ARNs."""

UNNAMED = (
    "application-autoscaling", "autoscaling", "budgets", "ce", "cloudtrail", "config", "ec2",
    "elasticache", "elasticloadbalancing", "fsx", "glue", "kafka", "kms",
)  # fmt: skip
"""Services that give their resources random names, or none: which are ours cannot be said."""

ROLES = (
    "AddRoleToInstanceProfile", "AttachRolePolicy", "CreateInstanceProfile", "CreatePolicy",
    "CreatePolicyVersion", "CreateRole", "Delete*", "DetachRolePolicy",
    "PutRolePermissionsBoundary", "PutRolePolicy", "RemoveRoleFromInstanceProfile",
    "SetDefaultPolicyVersion", "Tag*", "Untag*", "UpdateAssumeRolePolicy", "UpdateRole*",
)  # fmt: skip
"""What deploying does to roles and policies; passing them on is a statement of its own."""

RUNS_ROLES = (
    "ec2", "eks", "emr-serverless", "events", "firehose", "lambda", "pods.eks", "sagemaker",
    "scheduler", "states", "vpc-flow-logs",
)  # fmt: skip
"""Services that are given roles by the program."""

DESCRIBES = (
    "cloudwatch", "dynamodb", "ecr", "eks", "events", "firehose", "kinesis", "logs", "sagemaker",
    "ssm", "states",
)  # fmt: skip
READS = (
    *(f"{service}:List*" for service in (*NAMED, "servicequotas")),
    *(f"{service}:Describe*" for service in DESCRIBES),
    "servicequotas:Get*",
    "tag:GetResources",
)
"""What the provider and the checks ask before anything exists; many accept no resource."""


@dataclass(frozen=True, kw_only=True)
class PersonasArgs(ComponentArgs):
    """Who the personas are, and on what they may spend."""

    roles: Mapping[str, Role]
    """A role for each of `PERSONAS`."""

    deployers: Mapping[str, Role] = field(default_factory=dict)
    """Roles that deploy one workload each, by the workload as AWS sees it. Default: none."""

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
        for workload, role in args.deployers.items():
            self.grant(role, "work", deploy_workload(self.names.of_workload(workload)))
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
    roles = [
        f"arn:aws:iam::{names.account_id}:{kind}/{names.of('*')}"
        for kind in ("instance-profile", "policy", "role")
    ]
    return [
        {"Sid": "Named", "Action": [f"{service}:*" for service in NAMED], "Resource": resources},
        {"Sid": "Buckets", "Action": ["s3:*"], "Resource": [f"arn:aws:s3:::{names.of('*')}"]},
        {
            "Sid": "Unnamed",
            "Action": [f"{service}:*" for service in UNNAMED],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"aws:RequestedRegion": [names.region, "us-east-1"]}},
        },
        {"Sid": "Look", "Action": [*READS, "iam:Get*", "iam:List*"], "Resource": ["*"]},
        {"Sid": "Roles", "Action": [f"iam:{action}" for action in ROLES], "Resource": roles},
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
        {
            "Sid": "NoApproval",
            "Effect": "Deny",
            "Action": ["sagemaker:UpdateModelPackage"],
            "Resource": "*",
        },
    ]


WORKLOAD_SERVICES = (
    "cloudwatch", "dynamodb", "events", "kinesis", "lambda", "logs", "sagemaker", "scheduler",
    "sns", "sqs",
)  # fmt: skip
"""Services of NAMED that the stack of a workload consists of."""

WORKLOAD_RUNS_ROLES = ("budgets", "lambda", "pods.eks", "sagemaker", "scheduler")
"""Services that are given roles by the stack of a workload."""

USES_KEYS = ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKey*")


def deploy_workload(names: Names) -> list[Statement]:
    """Create and change what one workload owns, by its names, and nothing of anybody else's.

    The keys, buckets and images that it uses are the platform's: it may name them, not change them.
    """
    own = names.of("*")
    resources = sorted(
        names.arn(service, resource.format(name=own))
        for service in WORKLOAD_SERVICES
        for resource in NAMED[service]
        if "{name}" in resource
    )
    account = f"arn:aws:iam::{names.account_id}"
    roles = [f"{account}:{kind}/{own}" for kind in ("policy", "role")]
    return [
        {
            "Sid": "Named",
            "Action": [f"{service}:*" for service in WORKLOAD_SERVICES],
            "Resource": resources,
        },
        {
            "Sid": "Budgets",
            "Action": ["budgets:*"],
            "Resource": [f"arn:aws:budgets::{names.account_id}:budget/{own}"],
        },
        {
            # a mapping has a random id, and says which function it feeds
            "Sid": "Mappings",
            "Action": ["lambda:*EventSourceMapping*"],
            "Resource": ["*"],
            "Condition": {
                "ArnLike": {"lambda:FunctionArn": names.arn("lambda", f"function:{own}")}
            },
        },
        {
            # a scalable target has a random id; SageMaker refuses those of endpoints that the
            # caller may not update (Application Auto Scaling, service authorization reference)
            "Sid": "Scaling",
            "Action": [
                "application-autoscaling:DeleteScalingPolicy",
                "application-autoscaling:DeleteScheduledAction",
                "application-autoscaling:DeregisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:PutScheduledAction",
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:TagResource",
            ],
            "Resource": [names.arn("application-autoscaling", "scalable-target/*")],
            "Condition": {
                "StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}
            },
        },
        {
            "Sid": "Keys",
            "Action": [f"kms:{action}" for action in USES_KEYS],
            "Resource": [names.arn("kms", "key/*")],
            "Condition": {
                "ForAnyValue:StringLike": {"kms:ResourceAliases": f"alias/{names.platform.of('*')}"}
            },
        },
        {
            "Sid": "Look",
            "Action": [
                *(f"{service}:Describe*" for service in ("application-autoscaling", "ec2", "eks")),
                *READS,
                "iam:Get*",
                "iam:List*",
            ],
            "Resource": ["*"],
        },
        {
            "Sid": "Identities",
            "Action": [
                f"eks:{verb}PodIdentityAssociation" for verb in ("Create", "Delete", "Update")
            ],
            "Resource": [
                names.arn("eks", f"cluster/{names.platform.of('cluster')}"),
                names.arn("eks", f"podidentityassociation/{names.platform.of('cluster')}/*"),
            ],
        },
        {"Sid": "Roles", "Action": [f"iam:{action}" for action in ROLES], "Resource": roles},
        {
            "Sid": "PassRoles",
            "Action": ["iam:PassRole"],
            "Resource": [names.role_arn("*")],
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": [
                        f"{service}.amazonaws.com" for service in WORKLOAD_RUNS_ROLES
                    ]
                }
            },
        },
        {
            "Sid": "NoApproval",
            "Effect": "Deny",
            "Action": ["sagemaker:UpdateModelPackage"],
            "Resource": "*",
        },
    ]
