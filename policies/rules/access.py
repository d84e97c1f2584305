"""Identity and access management."""

import re
from collections.abc import Iterator
from functools import lru_cache

from policies.data import Data, Resource
from policies.reading.documents import covered, statements, strings
from policies.reading.principals import has_effect, is_narrowing
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

POLICY = "aws:iam/policy:Policy"
_KINDS = (
    "GroupPolicy",
    "GroupPolicyAttachment",
    "Policy",
    "PolicyAttachment",
    "Role",
    "RolePolicy",
    "RolePolicyAttachment",
    "RolePolicyAttachmentsExclusive",
    "UserPolicy",
    "UserPolicyAttachment",
    "UserPolicyAttachmentsExclusive",
)
POLICY_TYPES = (
    *(f"aws:iam/{kind[0].lower()}{kind[1:]}:{kind}" for kind in _KINDS),
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy",
)  # fmt: skip

FORBIDDEN_ANYWHERE = frozenset(("AdministratorAccess", "IAMFullAccess", "PowerUserAccess"))
FULL = re.compile(
    r"arn:[^:]*:iam::aws:policy/(.*FullAccess.*|SecretsManagerReadWrite|ReadOnlyAccess"
    r"|job-function/(DatabaseAdministrator|DataScientist|NetworkAdministrator|SystemAdministrator))"
)
"""AWS's own policies that open a whole service, and its data, on every resource."""

ESCALATION = tuple(
    f"iam:{action}"
    for action in (
        "AddUserToGroup", "AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy",
        "CreateAccessKey", "CreateLoginProfile", "CreatePolicyVersion",
        "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "PutGroupPolicy",
        "PutRolePermissionsBoundary", "PutRolePolicy", "PutUserPolicy", "SetDefaultPolicyVersion",
        "UpdateAssumeRolePolicy", "UpdateLoginProfile",
    )
)  # fmt: skip
"""Each of these, on any identity and without a condition, lets its holder become administrator."""

READING = (
    "s3:GetObject", "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue",
    "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory",
    "dynamodb:Scan", "dynamodb:Query", "dynamodb:GetItem", "dynamodb:BatchGetItem", "kms:Decrypt",
    "rds-db:connect", "rds-data:ExecuteStatement", "redshift:GetClusterCredentials",
)  # fmt: skip
"""Each of these, on everything, reads all data or every secret of the account (the first five are
what cloudsplaining calls data exfiltration, and Checkov's CKV_AWS_107 and 108 look for)."""

BECOMING = (
    "sts:AssumeRole", "lambda:UpdateFunctionCode", "ssm:SendCommand", "ssm:StartSession",
    "sagemaker:CreatePresignedNotebookInstanceUrl", "sagemaker:CreatePresignedDomainUrl",
    "eks:CreateAccessEntry", "eks:AssociateAccessPolicy", "glue:UpdateDevEndpoint",
    "ec2-instance-connect:SendSSHPublicKey", "ecs:ExecuteCommand", "codebuild:StartBuild",
)  # fmt: skip
"""Each of these, on everything, makes its holder somebody else: whose role, code or shell it is."""

OPENING = (
    "kms:PutKeyPolicy", "kms:CreateGrant", "s3:PutBucketPolicy", "s3:PutBucketAcl",
    "s3:DeleteBucketPolicy", "secretsmanager:PutResourcePolicy", "ecr:SetRepositoryPolicy",
    "lambda:AddPermission", "organizations:LeaveOrganization", "cloudtrail:StopLogging",
    "cloudtrail:DeleteTrail", "cloudtrail:PutEventSelectors", "logs:DeleteLogGroup",
    "config:StopConfigurationRecorder", "guardduty:DeleteDetector", "kms:ScheduleKeyDeletion",
)  # fmt: skip
"""Each of these, on everything, lets others in, or ends the record or what encrypts it (AWS's
access level "permissions management", and the services that record)."""

WIDE = (*READING, *BECOMING, *OPENING)

_MAY_BE_IAM = ("i", "*", "?")
"""How the patterns begin that can match an action of IAM."""

_WILD = re.compile(r"[*?:/]*\*[*?:/]*")
_TYPES = {
    "dynamodb": ("table",),
    "iam": ("role", "user", "group", "policy"),
    "kms": ("key",),
    "lambda": ("function",),
    "secretsmanager": ("secret",),
    "ssm": ("parameter",),
}
"""Service -> the words that its ARNs begin with; half of one with a `*` is all of them."""


@rule(
    "PF-IAM-001",
    applies_to=POLICY_TYPES,
    severity="critical",
    mandatory="everywhere",
    fix="name the actions and the resources that are needed;\n"
    "pass only named roles; write an inline policy instead of a FullAccess one",
    url="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_broad_access(resource: Resource, scope: Scope) -> Result:
    """No identity may do or read everything, become administrator, pass any role or own SageMaker.

    `iam:PassRole` on every role counts even with a condition: whoever may start a job with any role
    has the rights of the strongest one. AWS's own policies that open a whole service are refused
    in production. A policy by itself may be a permissions boundary, which names whole services.
    """
    grants = list(_statements(resource.inputs))
    bounds = resource.type == POLICY
    managed = list(_managed_policies(resource.inputs))
    if not grants and not managed:
        return NotApplicable("grants nothing itself")

    def narrow(grant: Data) -> Result:
        if isinstance(grant.value, dict):
            return _narrow_statement(grant, bounds)
        arn = str(grant.get())
        name = arn.rpartition("/")[2]
        full = scope.config.production and FULL.fullmatch(arn)
        return Fail(f"must not attach {name}") if name in FORBIDDEN_ANYWHERE or full else None

    return every([*grants, *managed], narrow)


def _managed_policies(inputs: Data) -> Iterator[Data]:
    for key in ("policyArn", "managedPolicyArn"):
        if key in inputs.value:
            yield Data(inputs.value[key], key)
    for key in ("managedPolicyArns", "policyArns"):
        yield from inputs.each(key)


def _statements(inputs: Data) -> Iterator[Data]:
    """The statements that allow something, from the policy and from inline ones."""
    keys = [key for key in ("policy", "inlinePolicy") if key in inputs.value]
    documents = [Data(inputs.value[key], key) for key in keys]
    for inline in inputs.each("inlinePolicies"):
        if inline.keys() & {"policy"}:
            documents.append(Data(inline.value["policy"], f"{inline.path}.policy"))
    for document in documents:
        yield from (s for s in statements(document) if s.get("Effect") == "Allow")


def _narrow_statement(statement: Data, bounds: bool) -> Result:
    if statement.has("NotAction"):
        return Fail(f"{statement.path} must name what it allows, got Allow with NotAction")
    actions = [action.lower() for action in strings(statement, "Action")]
    where = f"{statement.path} on every resource must not allow"
    if ("*" in actions or "*:*" in actions) and _reaches_everything(statement):
        return Fail(f"{where} every action")
    if "sagemaker:*" in actions and _reaches_everything(statement, bounded=True):
        return Fail(f"{where} sagemaker:*")
    of_iam = [action for action in actions if action.startswith(_MAY_BE_IAM)]
    regional = is_narrowing(statement.get("Condition"), among=REGION)
    whole = bounds or regional
    named = [action for action in actions if not (whole and action.endswith(":*"))]
    return _narrow_identity(statement, of_iam, where) or _narrow_reader(statement, named, where)


def _narrow_reader(statement: Data, actions: list[str], where: str) -> Result:
    """Of a whole service, a permissions boundary and who deploys in one region may name all.

    Whoever names one action names where.
    """
    wide = [
        action
        for action in covered(frozenset(actions), WIDE)
        if _reaches_everything(statement, action.partition(":")[0])
    ]
    if wide and not has_effect(statement.get("Condition")):
        return Fail(f"{where} {', '.join(wide)}")
    return None


def _narrow_identity(statement: Data, of_iam: list[str], where: str) -> Result:
    if covered(frozenset(of_iam), ("iam:PassRole",)) and _reaches_everything(statement, "iam"):
        return Fail(f"{where} iam:PassRole")
    escalating = covered(frozenset(of_iam), tuple(ESCALATION))
    narrowed = has_effect(statement.get("Condition"))
    if escalating and not narrowed and _reaches_everything(statement, "iam"):
        return Fail(f"{where} {', '.join(escalating)} without a condition")
    return None


REGION = frozenset(("aws:requestedregion",))


def _reaches_everything(statement: Data, service: str = "", *, bounded: bool = False) -> bool:
    """With a service, what is of another does not count; roles are those of IAM to STS, too.

    With `bounded`, what is of one named account is not everything.
    """
    if statement.has("NotResource"):
        return True
    owner = {"sts": "iam", "rds-data": "rds"}.get(service, service)
    return any(
        _is_everything(each)
        and not (bounded and _OF_ACCOUNT.match(each))
        and (not service or _may_be_of(each, owner))
        for each in strings(statement, "Resource")
    )


def _may_be_of(pattern: str, service: str) -> bool:
    parts = pattern.split(":", 5)
    return len(parts) < 3 or bool(covered(frozenset((parts[2],)), (service,)))


_OF_ACCOUNT = re.compile(r"arn:([^:]*:){3}\d{12}:")


@lru_cache(4096)
def _is_everything(pattern: str) -> bool:
    """Whether a pattern is of all of a service or of all of one kind, however it is spelled."""
    if not pattern.startswith("arn:"):
        return bool(_WILD.fullmatch(pattern))
    parts = pattern.split(":", 5)
    if len(parts) < 6:
        return pattern.endswith("*")
    head = parts[5].rstrip("*?:/")
    words = _TYPES.get(parts[2], ())
    return (not head or any(word.startswith(head) for word in words)) and parts[5] != head
