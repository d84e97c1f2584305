"""The model registry: who reads it, and what its groups say of themselves."""

import re

from policies.data import Data, Resource
from policies.reading.documents import is_public, statements, strings
from policies.reading.principals import is_narrowing
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

GROUP = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"
GROUP_POLICY = "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy"

NARROW = frozenset(("aws:principalorgid", "aws:principalorgpaths", "aws:principalarn"))
"""Condition keys that leave of an account only what belongs to the organization, or some roles."""

_ACCOUNT = re.compile(r"^(?:arn:aws[a-z-]*:(?:iam|sts)::)?(\d{12})(?::|$)")
GROUP_TAGS = ("owner", "risk_class")


@rule(
    "ML-MR-001",
    applies_to=GROUP_POLICY,
    severity="high",
    fix="name the accounts of trusted_accounts as principals, with a condition on\n"
    "aws:PrincipalOrgID or aws:PrincipalArn",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def limit_registry_readers(resource: Resource, scope: Scope) -> Result:
    """The registry is read by known accounts only, and there by known roles or one organization.

    Whoever reads a package reads where its model lies; whoever may approve one changes production.
    """
    document = Data(resource.inputs.get("resourcePolicy"), "resourcePolicy")
    allowing = [each for each in statements(document) if each.get("Effect") == "Allow"]
    if not allowing:
        return NotApplicable("the policy allows nothing")
    return every(allowing, lambda statement: _is_narrow(statement, scope))


def _is_narrow(statement: Data, scope: Scope) -> Result:
    if is_public(statement):
        return Fail(f"{statement.path} must not allow everybody")
    if not is_narrowing(statement.get("Condition"), among=NARROW):
        return Fail(f"{statement.path} must have a condition on the organization or on roles")
    known = scope.config.trusted_accounts
    if statement.get("Principal") == "*":
        return None  # of one organization or of roles, by the condition
    names = strings(statement, "Principal", "AWS")
    found = {match.group(1) if (match := _ACCOUNT.match(name)) else name for name in names}
    if strangers := sorted(found - {*known, "*"}):
        allowed = ", ".join(known) or "no other account"
        return Fail(f"{statement.path} must allow {allowed}, got {', '.join(strangers)}")
    return None


@rule(
    "ML-MR-002",
    applies_to=GROUP,
    severity="low",
    mandatory="never",
    fix="set model_package_group_description and the tags owner and risk_class",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-model-group.html",
    themes=Theme.INVENTORY,
)
def require_described_group(resource: Resource, scope: Scope) -> Result:
    """A group of model versions says what it is for, whose it is, and how much it may harm."""
    del scope

    def has_tag(name: str) -> Result:
        return None if resource.tag(name) else Fail(f"tag {name!r} must be set, got none")

    if not resource.inputs.get("modelPackageGroupDescription"):
        return Fail("modelPackageGroupDescription must be set, got none")
    return every(GROUP_TAGS, has_tag)
