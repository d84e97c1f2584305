"""What deploying takes in AWS, as data: services, how their resources carry our names, actions."""

NAMED = {
    "cloudwatch": ("alarm:{name}", "dashboard/{name}"),
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
    "codebuild", "ec2", "eks", "emr-serverless", "events", "firehose", "lambda", "pods.eks",
    "sagemaker", "scheduler", "states", "vpc-flow-logs",
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
