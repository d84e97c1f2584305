"""Who may assume a role: services, providers of identities, workflows of GitHub."""

import re
from collections.abc import Mapping

from policies.data import Data, Resource, Unknown
from policies.reading.documents import is_public, statements, strings
from policies.reading.principals import NARROWS, compared, is_narrowing
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

ROLE = "aws:iam/role:Role"

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
    A provider of identities (EKS, GitLab, Cognito, SAML) vouches for all of its users, so the trust
    names whom of them, or in which application; GitHub's have a rule of their own.
    EC2 and Lambda send neither key when they assume a role. Whether a feature of SageMaker does is
    not known of all: a condition on the account where it is said is neither right nor wrong.
    """
    trusts = [
        statement
        for statement in _trusts(resource.inputs)
        if is_public(statement)
        or _services(statement) - TRUSTED_WITHOUT_CONDITION
        or _providers(statement)
    ]
    if not trusts:
        return NotApplicable("no service that says where it stands may assume it")

    def narrow(statement: Data) -> Result:
        if is_public(statement):
            return Fail(f"{statement.path} must not let everybody assume the role")
        if _providers(statement):
            return _of_a_subject(statement)
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


def _providers(statement: Data) -> set[str]:
    """Providers of identities, but for GitHub's."""
    principal = statement.get("Principal")
    named = strings(statement, "Principal", "Federated") if isinstance(principal, dict) else ()
    return {arn for arn in named if GITHUB not in arn}


OF_PROVIDER = {"saml": ":aud", "cognito": ":aud"}
"""Word in the name of a provider -> the end of the key that names the application; else the
subject."""


def _of_a_subject(statement: Data) -> Result:
    """Some operator that narrows compares the subject with one that is not open at its front.

    An EKS subject is `system:serviceaccount:NAMESPACE:NAME`, of which the namespace must be fixed.
    """
    wanted = {
        next((end for word, end in OF_PROVIDER.items() if word in arn), ":sub")
        for arn in _providers(statement)
    }
    found = {
        end
        for operator, key, values in compared(statement.get("Condition"))
        for end in wanted
        if key.endswith(end)
        and operator.removeprefix("foranyvalue:") in NARROWS
        and values
        and not any(map(_is_open_subject, map(str, values)))
    }
    if found == wanted:
        return None
    missing = ", ".join(sorted(wanted - found))
    return Fail(f"{statement.path} must compare the provider's key {missing} with named ones")


def _is_open_subject(value: str) -> bool:
    """A wildcard stands for any text, so that one before the last part leaves the rest open."""
    *before, _ = re.split("[:/]", value)
    return bool(_OPEN_SUBJECT.fullmatch(value)) or any(
        "*" in part or "?" in part for part in before
    )


_OPEN_SUBJECT = re.compile(r"(system:serviceaccount:|project_path:|repo:|[a-z]+:)?[*?].*")

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
