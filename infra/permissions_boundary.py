"""The permissions boundary: what no role of an environment may exceed, whatever it is granted."""

from collections.abc import Mapping

from infra.naming import Names

SERVICES = (
    "application-autoscaling", "athena", "autoscaling", "budgets", "ce", "cloudtrail",
    "cloudwatch", "codebuild", "config", "dynamodb", "ec2", "ec2messages", "ecr", "eks",
    "eks-auth", "elasticache", "elasticfilesystem", "elasticloadbalancing", "emr-serverless",
    "events", "firehose", "fsx", "glue", "kafka", "kafka-cluster", "kinesis", "kms",
    "lakeformation", "lambda", "logs", "pricing", "s3", "sagemaker-mlflow", "scheduler",
    "secretsmanager", "servicequotas", "sns", "sqs", "ssm", "ssmmessages", "states", "sts",
    "tag",
)  # fmt: skip
"""Services that the platform consists of, by their prefix in IAM. SageMaker and IAM have statements
of their own."""

POLICY_CHARACTERS = 6144
"""Most characters of a managed policy, white space left out (IAM user guide, IAM quotas)."""


def boundary_arn(names: Names) -> str:
    """ARN of an environment's own boundary."""
    return names.iam_arn(f"policy/{names.of('boundary')}")


def boundary(names: Names) -> Mapping[str, object]:
    """The services of the platform, its own region, and roles that have this boundary too.

    A boundary grants nothing: a role may do what its policies and the boundary both allow. Without
    the last statements a role that may create roles could make one that is free of it (IAM user
    guide, delegating responsibility with permissions boundaries). Models are approved by the
    approver's role alone, so that no role made for the purpose can do it.
    """
    return {"Version": "2012-10-17", "Statement": [*_allowed(names), *_denied(names)]}


def _own(names: Names, *kinds: str) -> list[str]:
    """ARNs of what has a name of ours."""
    return [names.iam_arn(f"{kind}/{names.of('*')}") for kind in kinds]


def _allowed(names: Names) -> list[Mapping[str, object]]:
    return [
        _allow("Services", [f"{service}:*" for service in SERVICES], ["*"]),
        _allow("SageMaker", ["sagemaker:*"], [names.arn("sagemaker", "*")]),
        _allow(
            "SageMakerReads",
            ["sagemaker:Describe*", "sagemaker:List*", "sagemaker:Search"],
            ["*"],
        ),
        _allow("IamReads", ["iam:Get*", "iam:List*", "iam:SimulatePrincipalPolicy"], ["*"]),
        _allow("OwnRoles", ["iam:*"], _own(names, "instance-profile", "policy", "role")),
        _allow(
            "Providers",
            ["iam:*OpenIDConnectProvider*", "iam:CreateServiceLinkedRole", "iam:PassRole"],
            [
                names.iam_arn("oidc-provider/*"),
                names.iam_arn("role/aws-service-role/*"),
            ],
        ),
    ]


def _denied(names: Names) -> list[Mapping[str, object]]:
    roles, own = _own(names, "role"), boundary_arn(names)
    return [
        _deny(
            "OtherRegions",
            ["ec2:*", "eks:*", "sagemaker:*"],
            ["*"],
            {"StringNotEquals": {"aws:RequestedRegion": names.region}},
        ),
        _deny(
            "RolesWithoutBoundary",
            ["iam:CreateRole", "iam:PutRolePermissionsBoundary"],
            roles,
            {"StringNotEquals": {"iam:PermissionsBoundary": own}},
        ),
        _deny(
            "OnlyTheApprover",
            ["sagemaker:UpdateModelPackage"],
            ["*"],
            {"ArnNotEquals": {"aws:PrincipalArn": names.role_arn("approver")}},
        ),
        _deny(
            "NothingIsBornApproved",
            ["sagemaker:CreateModelPackage"],
            ["*"],
            {"StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}},
        ),
        _deny("Unbound", ["iam:DeleteRolePermissionsBoundary"], roles),
        _deny(
            "OwnBoundary",
            [
                "iam:CreatePolicyVersion",
                "iam:DeletePolicy",
                "iam:DeletePolicyVersion",
                "iam:SetDefaultPolicyVersion",
            ],
            [own],
        ),
    ]


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _deny(
    sid: str,
    actions: list[str],
    resources: list[str],
    condition: Mapping[str, object] | None = None,
) -> dict[str, object]:
    when = {"Condition": condition} if condition else {}
    return {"Sid": sid, "Effect": "Deny", "Action": actions, "Resource": resources, **when}
