"""Identity and access management."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from policies.data import Data, Resource
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule

POLICY_TYPES = tuple(
    f"aws:iam/{kind[0].lower()}{kind[1:]}:{kind}"
    for kind in (
        "GroupPolicy", "GroupPolicyAttachment", "Policy", "PolicyAttachment", "Role",
        "RolePolicy", "RolePolicyAttachment", "UserPolicy", "UserPolicyAttachment",
    )
)  # fmt: skip

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

_EVERYTHING = re.compile(r"(\*|arn:[^:]*:iam::[^:]*:(\*|(role|user|group|policy)/\*))")


@rule(
    "PF-IAM-001",
    applies_to=POLICY_TYPES,
    severity="critical",
    mandatory="everywhere",
    fix="name the actions and the resources that are needed;\n"
    "pass only named roles; write an inline policy instead of a FullAccess one",
    url="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
    themes="L",
)
def forbid_broad_access(resource: Resource, scope: Scope) -> Result:
    """No identity may do everything, become administrator, pass any role or own all of SageMaker.

    `iam:PassRole` on every role counts even with a condition: whoever may start a job with any role
    has the rights of the strongest one. AmazonSageMakerFullAccess is refused in production.
    """
    statements = list(_statements(resource.inputs))
    managed = list(_managed_policies(resource.inputs))
    if not statements and not managed:
        return NotApplicable("grants nothing itself")
    forbidden = FORBIDDEN_ANYWHERE | (FORBIDDEN_IN_PRODUCTION if scope.config.production else set())

    def narrow(grant: Data) -> Result:
        if isinstance(grant.value, dict):
            return _narrow_statement(grant)
        name = str(grant.get()).rpartition("/")[2]
        return Fail(f"must not attach {name}") if name in forbidden else None

    return every([*statements, *managed], narrow)


def _managed_policies(inputs: Data) -> Iterator[Data]:
    if "policyArn" in inputs.value:
        yield Data(inputs.value["policyArn"], "policyArn")
    yield from inputs.each("managedPolicyArns")


def _statements(inputs: Data) -> Iterator[Data]:
    """The statements that allow something, from documents given as JSON text or as objects."""
    documents = [Data(inputs.value["policy"], "policy")] if "policy" in inputs.value else []
    for inline in inputs.each("inlinePolicies"):
        if inline.keys() & {"policy"}:
            documents.append(Data(inline.value["policy"], f"{inline.path}.policy"))
    for document in documents:
        text = document.value
        parsed = Data(json.loads(text) if isinstance(text, str) else text, document.path)
        yield from (s for s in _listed(parsed) if s.get("Effect") == "Allow")


def _listed(document: Data) -> list[Data]:
    """A document's statements; a single one may stand without its list."""
    if document.has("Statement") and isinstance(document.value["Statement"], dict):
        return [Data(document.value["Statement"], f"{document.path}.Statement")]
    return document.each("Statement")


def _narrow_statement(statement: Data) -> Result:
    if statement.has("NotAction"):
        return Fail(f"{statement.path} must name what it allows, got Allow with NotAction")
    actions = [action.lower() for action in _strings(statement, "Action")]
    where = f"{statement.path} on every resource must not allow"
    if {"*", "*:*"} & set(actions) and _reaches_everything(statement):
        return Fail(f"{where} every action")
    if "sagemaker:*" in actions and _reaches_everything(statement):
        return Fail(f"{where} sagemaker:*")
    if _allows(actions, "iam:PassRole") and _reaches_everything(statement):
        return Fail(f"{where} iam:PassRole")
    escalating = [action for action in ESCALATION if _allows(actions, action)]
    if escalating and not statement.has("Condition") and _reaches_everything(statement):
        return Fail(f"{where} {', '.join(escalating)} without a condition")
    return None


def _allows(patterns: list[str], action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern) for pattern in patterns)


def _reaches_everything(statement: Data) -> bool:
    if statement.has("NotResource"):
        return True
    return any(_EVERYTHING.fullmatch(resource) for resource in _strings(statement, "Resource"))


def _strings(statement: Data, key: str) -> list[str]:
    value = statement.get(key)
    return [value] if isinstance(value, str) else list(value or ())
