"""Identity and access management."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from policies.data import Data, Resource, Unknown
from policies.reading.documents import is_public, statements, strings
from policies.reading.principals import has_effect, is_narrowing
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

POLICY_TYPES = tuple(
    f"aws:iam/{kind[0].lower()}{kind[1:]}:{kind}"
    for kind in (
        "GroupPolicy", "GroupPolicyAttachment", "Policy", "PolicyAttachment", "Role",
        "RolePolicy", "RolePolicyAttachment", "UserPolicy", "UserPolicyAttachment",
    )
)  # fmt: skip

ROLE = "aws:iam/role:Role"

FORBIDDEN_ANYWHERE = frozenset(("AdministratorAccess", "IAMFullAccess", "PowerUserAccess"))
FORBIDDEN_IN_PRODUCTION = frozenset(("AmazonSageMakerFullAccess",))

ESCALATION = tuple(
    f"iam:{action}"
    for action in (
        "AddUserToGroup", "AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy",
        "CreateAccessKey", "CreateLoginProfile", "CreatePolicyVersion", "PutGroupPolicy",
        "PutRolePolicy", "PutUserPolicy", "SetDefaultPolicyVersion", "UpdateAssumeRolePolicy",
        "UpdateLoginProfile",
    )
)  # fmt: skip
"""Each of these, on any identity and without a condition, lets its holder become administrator."""

READING = (
    "s3:GetObject", "secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParameters",
    "ssm:GetParametersByPath", "dynamodb:Scan", "kms:Decrypt",
)  # fmt: skip
"""Each of these, on everything, reads all data or every secret of the account (the first five are
what cloudsplaining calls data exfiltration, and Checkov's CKV_AWS_107 and 108 look for)."""

_MAY_BE_IAM = ("i", "*", "?", "[")
"""How the patterns begin that can match an action of IAM."""

_EVERYTHING = re.compile(r"(\*|arn:[^:]*:iam::[^:]*:(\*|(role|user|group|policy)/\*))")


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
    has the rights of the strongest one. AmazonSageMakerFullAccess is refused in production.
    """
    grants = list(_statements(resource.inputs))
    managed = list(_managed_policies(resource.inputs))
    if not grants and not managed:
        return NotApplicable("grants nothing itself")
    forbidden = FORBIDDEN_ANYWHERE | (FORBIDDEN_IN_PRODUCTION if scope.config.production else set())

    def narrow(grant: Data) -> Result:
        if isinstance(grant.value, dict):
            return _narrow_statement(grant)
        name = str(grant.get()).rpartition("/")[2]
        return Fail(f"must not attach {name}") if name in forbidden else None

    return every([*grants, *managed], narrow)


def _managed_policies(inputs: Data) -> Iterator[Data]:
    if "policyArn" in inputs.value:
        yield Data(inputs.value["policyArn"], "policyArn")
    yield from inputs.each("managedPolicyArns")


def _statements(inputs: Data) -> Iterator[Data]:
    """The statements that allow something, from the policy and from inline ones."""
    documents = [Data(inputs.value["policy"], "policy")] if "policy" in inputs.value else []
    for inline in inputs.each("inlinePolicies"):
        if inline.keys() & {"policy"}:
            documents.append(Data(inline.value["policy"], f"{inline.path}.policy"))
    for document in documents:
        yield from (s for s in statements(document) if s.get("Effect") == "Allow")


def _narrow_statement(statement: Data) -> Result:
    if statement.has("NotAction"):
        return Fail(f"{statement.path} must name what it allows, got Allow with NotAction")
    actions = [action.lower() for action in strings(statement, "Action")]
    where = f"{statement.path} on every resource must not allow"
    if ("*" in actions or "*:*" in actions) and _reaches_everything(statement):
        return Fail(f"{where} every action")
    if "sagemaker:*" in actions and _reaches_everything(statement):
        return Fail(f"{where} sagemaker:*")
    of_iam = [action for action in actions if action.startswith(_MAY_BE_IAM)]
    return _narrow_identity(statement, of_iam, where) or _narrow_reader(statement, actions, where)


def _narrow_reader(statement: Data, actions: list[str], where: str) -> Result:
    """Of a whole service, a permissions boundary may name all; whoever names a read names where."""
    named = [action for action in actions if not action.endswith(":*")]
    reading = [action for action in READING if _allows(named, action)]
    if reading and _reads_everything(statement) and not has_effect(statement.get("Condition")):
        return Fail(f"{where} {', '.join(reading)}")
    return None


def _narrow_identity(statement: Data, of_iam: list[str], where: str) -> Result:
    if _allows(of_iam, "iam:PassRole") and _reaches_everything(statement):
        return Fail(f"{where} iam:PassRole")
    escalating = [action for action in ESCALATION if _allows(of_iam, action)]
    if escalating and not statement.has("Condition") and _reaches_everything(statement):
        return Fail(f"{where} {', '.join(escalating)} without a condition")
    return None


def _allows(patterns: list[str], action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern) for pattern in patterns)


def _reads_everything(statement: Data) -> bool:
    """The same for data: every bucket, secret, parameter, table or key."""
    if _reaches_everything(statement):
        return True
    return any(_ALL_DATA.fullmatch(each) for each in strings(statement, "Resource"))


_ALL_DATA = re.compile(
    r"arn:[^:]*:[a-z0-9*]*:[^:]*:[^:]*:(\*|\*/\*|(secret:|parameter/|table/|key/)\*)"
)


def _reaches_everything(statement: Data) -> bool:
    if statement.has("NotResource"):
        return True
    return any(_EVERYTHING.fullmatch(resource) for resource in strings(statement, "Resource"))


TRUSTED_WITHOUT_CONDITION = frozenset(("ec2.amazonaws.com", "lambda.amazonaws.com"))
"""Services that assume roles for instances and functions and say nothing of where they stand."""


def _narrows_if_said(statement: Data) -> bool:
    """Whether the account would be named, were it said: the operator has IfExists."""
    conditions = statement.get("Condition")
    if not isinstance(conditions, Mapping):
        return False
    without = {
        str(operator)[: -len("IfExists")]: keys
        for operator, keys in conditions.items()
        if str(operator).lower().endswith("ifexists")
    }
    return is_narrowing(without, among=ACCOUNT)


ACCOUNT = frozenset(("aws:sourceaccount",))
SAYS_NOT_ALWAYS = frozenset(("sagemaker.amazonaws.com",))
"""Services of which some features are not documented to say for which account they act: the guide
of SageMaker (cross-service confused deputy prevention) names neither Feature Store nor MLflow."""


@rule(
    "PF-IAM-002",
    applies_to=ROLE,
    severity="medium",
    fix="add a condition on aws:SourceAccount or aws:SourceArn to the trust policy\n"
    "(infra/access.py does)",
    url="https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def require_source_of_service(resource: Resource, scope: Scope) -> Result:
    """A service assumes a role for resources of a named account alone, and nobody unnamed does.

    Otherwise somebody in another account who can name the role makes the service use it for him.
    EC2 and Lambda send neither key when they assume a role. Whether a feature of SageMaker does is
    not known of all: a condition on the account where it is said is neither right nor wrong.
    """
    trusts = [
        statement
        for statement in _trusts(resource.inputs)
        if is_public(statement) or _services(statement) - TRUSTED_WITHOUT_CONDITION
    ]
    if not trusts:
        return NotApplicable("no service that says where it stands may assume it")

    def narrow(statement: Data) -> Result:
        if is_public(statement):
            return Fail(f"{statement.path} must not let everybody assume the role")
        if is_narrowing(statement.get("Condition"), among=SOURCES):
            return None
        if _services(statement) <= SAYS_NOT_ALWAYS and _narrows_if_said(statement):
            who = ", ".join(sorted(_services(statement)))
            raise Unknown(f"whether {who} says its account everywhere, for {statement.path}")
        return Fail(f"{statement.path} must have a condition on aws:SourceAccount or aws:SourceArn")

    return every(trusts, narrow)


@rule(
    "PF-IAM-003",
    applies_to=ROLE,
    severity="critical",
    mandatory="everywhere",
    fix="compare aud with sts.amazonaws.com and sub with one repository and environment,\n"
    "such as repo:owner/name:environment:production",
    url="https://docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws",
    themes=Theme.LEAST_PRIVILEGE,
)
def require_exact_github_subject(resource: Resource, scope: Scope) -> Result:
    """A role that GitHub's workflows assume names the audience and one exact subject.

    With a pattern for the subject, every branch and pull request of a repository, or every
    repository, may deploy. A subject with an environment has that environment's reviewers.
    """
    trusts = [
        statement
        for statement in _trusts(resource.inputs)
        if isinstance(statement.get("Principal"), dict)
        and any(GITHUB in arn for arn in strings(statement, "Principal", "Federated"))
    ]
    if not trusts:
        return NotApplicable("no workflow of GitHub may assume it")
    return every(trusts, _exact_subject)


SOURCES = frozenset(("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"))


def _services(statement: Data) -> set[str]:
    principal = statement.get("Principal")
    return set(strings(statement, "Principal", "Service")) if isinstance(principal, dict) else set()


GITHUB = "token.actions.githubusercontent.com"
_SUBJECT = re.compile(r"repo:[^*?:]+/[^*?:]+:environment:[^*?]+")


def _exact_subject(statement: Data) -> Result:
    def compared(key: str) -> list[str]:
        return [
            value
            for operator in ("StringEquals", "StringLike")
            for value in strings(statement, "Condition", operator, f"{GITHUB}:{key}")
        ]

    if compared("aud") != ["sts.amazonaws.com"]:
        return Fail(f"{statement.path} must compare {GITHUB}:aud with sts.amazonaws.com")
    subjects = compared("sub")
    if subjects and all(_SUBJECT.fullmatch(subject) for subject in subjects):
        return None
    got = ", ".join(subjects) or "none"
    return Fail(
        f"{statement.path} must compare {GITHUB}:sub with repo:OWNER/NAME:environment:NAME, "
        f"got {got}"
    )


def _trusts(inputs: Data) -> list[Data]:
    """The statements of the trust policy that allow somebody to assume the role."""
    trust = Data(inputs.value.get("assumeRolePolicy"), "assumeRolePolicy")
    return [statement for statement in statements(trust) if statement.get("Effect") == "Allow"]
