"""Whether a policy lets an AWS service do something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.iam.decision import Policies, decide
from policies.iam.document import Policy, compiled
from policies.iam.request import Principal, Request, keys
from stacks.local.aws.account_id import ACCOUNT_ID


def lets(policy: Mapping[str, Any], service: str, action: str, context: Mapping[str, Any]) -> bool:
    """Whether the policy of a key, or a role's trust, lets a service principal do this."""
    return lets_by((compiled(policy),), service, action, context)


def lets_by(
    policies: Sequence[Policy],
    service: str,
    action: str,
    context: Mapping[str, Any],
    *,
    resource: str = "*",
) -> bool:
    """Whether policies that stand at a resource let a service principal do this there."""
    asked = Request(
        principal=Principal(kind="service", arn=service),
        action=action,
        resource=resource,
        account=ACCOUNT_ID,
        context=keys(context),
    )
    trust = action.startswith("sts:")
    return decide(
        asked, Policies(resource=tuple(policies), trust=trust, resource_decides=True)
    ).allowed


def listed(value: Any) -> list[Any]:
    """A value that may stand without its list."""
    return value if isinstance(value, list) else [value]


def principals(policy: Mapping[str, Any]) -> Iterator[str]:
    """What the policy names as principals of AWS accounts: account ids and ARNs."""
    for statement in listed(policy.get("Statement", [])):
        for key in ("Principal", "NotPrincipal"):
            named = statement.get(key)
            if isinstance(named, Mapping):
                yield from (str(one) for one in listed(named.get("AWS", [])))
