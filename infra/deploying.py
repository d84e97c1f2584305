"""What deploying takes in AWS, as data: services, how their resources carry our names, actions."""

from collections.abc import Mapping

from infra.naming import Names

NAMED = {
    "cloudwatch": ("alarm:{name}",),
    "codebuild": ("project/{name}",),
    "dynamodb": ("table/{name}",),
    "ecr": ("repository/{name}",),
    "eks": ("*/{name}",),
    "emr-serverless": ("/*",),
    "events": ("rule/{name}",),
    "firehose": ("deliverystream/{name}",),
    "kinesis": ("stream/{name}",),
    "lambda": ("event-source-mapping:*", "function:{name}"),
    "logs": ("log-group:*{name}",),
    "sagemaker": ("*/{name}", "mlflow-app/*"),
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

WITHOUT_RESOURCE = (
    "eks:CreateCluster", "emr-serverless:CreateApplication", "kinesis:DisableEnhancedMonitoring",
    "kinesis:EnableEnhancedMonitoring", "kinesis:UpdateShardCount", "kinesis:UpdateStreamMode",
    "lambda:CreateEventSourceMapping",
)  # fmt: skip
"""Actions of NAMED that accept no resource: IAM asks them on `*` alone (service authorization
reference)."""

GLOBAL = ("budgets", "ce", "cloudfront", "iam", "route53", "organizations")
"""Services without a region of their own."""

ROLES = (
    "AddRoleToInstanceProfile", "AttachRolePolicy", "CreateInstanceProfile", "CreatePolicy",
    "CreatePolicyVersion", "CreateRole", "Delete*", "DetachRolePolicy",
    "PutRolePermissionsBoundary", "PutRolePolicy", "RemoveRoleFromInstanceProfile",
    "SetDefaultPolicyVersion", "Tag*", "Untag*", "UpdateAssumeRolePolicy", "UpdateRole*",
)  # fmt: skip
"""What deploying does to roles and policies; passing them on is a statement of its own."""

RUNS_ROLES = (
    "budgets", "codebuild", "ec2", "eks", "emr-serverless", "events", "firehose", "lambda",
    "pods.eks", "sagemaker", "scheduler", "states", "vpc-flow-logs",
)  # fmt: skip
"""Services that are given roles by the program."""

SERVICE_LINKED = (
    "config", "eks", "eks-nodegroup", "elasticache", "fsx", "kafka", "ops.emr-serverless",
    "sagemaker.application-autoscaling", "spot",
)  # fmt: skip
"""Services whose own roles may have to be made in an account that never used them."""


def dashboards(names: Names) -> list[str]:
    """ARNs of an environment's dashboards, or of a workload's: they are of no region."""
    arn = f"arn:{names.partition}:cloudwatch::{names.account_id}:dashboard"
    return [f"{arn}/{names.prefix}", f"{arn}/{names.of('*')}"]


def service_linked_roles(names: Names) -> Mapping[str, object]:
    """Making the roles that services have in an account, for those that are used here alone."""
    return {
        "Sid": "ServiceLinkedRoles",
        "Action": ["iam:CreateServiceLinkedRole"],
        "Resource": [names.iam_arn("role/aws-service-role/*")],
        "Condition": {
            "StringEquals": {
                "iam:AWSServiceName": [f"{service}.amazonaws.com" for service in SERVICE_LINKED]
            }
        },
    }


def stream_keys(names: Names) -> Mapping[str, object]:
    """Encrypting a stream, which asks for the key beside the stream (service authorization
    reference, Kinesis)."""
    return {
        "Sid": "StreamKeys",
        "Action": ["kinesis:StartStreamEncryption", "kinesis:StopStreamEncryption"],
        "Resource": [names.arn("kms", "key/*")],
    }


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
