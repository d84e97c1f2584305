"""What IAM would decide, for tests: denials first, then grants, conditions included."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from policies.iam.document import compiled
from policies.iam.request import Principal, Request, keys

ANYBODY = Principal(kind="user", arn="arn:aws:iam::123456789012:user/any", account="123456789012")


def decide(
    policies: Sequence[Mapping[str, Any]], action: str, resource: str = "*", **context: Any
) -> str:
    """`deny`, `allow`, or `nothing` for a request; context keys are written `aws__SourceVpce`.

    Whom the statements of a resource policy name is left aside.
    """
    request = Request(
        principal=ANYBODY,
        action=action,
        account=ANYBODY.account,
        resource=resource,
        context=keys({key.replace("__", ":"): value for key, value in context.items()}),
    )
    effects = {
        statement.effect
        for policy in policies
        for statement in compiled(policy).statements
        if replace(statement, principals=None).applies(request)[0]
    }
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "nothing"


def listed(value: Any) -> list[Any]:
    """A value that may stand without its list."""
    return value if isinstance(value, list) else [value]
