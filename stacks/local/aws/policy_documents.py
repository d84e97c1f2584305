"""Whether a policy lets an AWS service, or the role that it belongs to, do something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, str]
"""Condition keys of a request, in lower case, with their values."""

Compare = Callable[[str, str], bool]


def lets(policy: Mapping[str, Any], service: str, action: str, context: Context) -> bool:
    """Whether the policy of a key, or a role's trust, lets a service principal do this.

    It must be allowed somewhere and denied nowhere.

    A condition with an operator that is not known here is one that does not hold: an allowance then
    counts for nothing and a denial is passed over, so that a policy is not believed by mistake.
    """
    known = {key.lower(): value for key, value in context.items()}
    effects = {
        statement["Effect"]
        for statement in listed(policy.get("Statement", []))
        if _names(statement, service)
        and _covers(statement, action)
        and _holds(statement.get("Condition") or {}, known)
    }
    return effects == {"Allow"}


def grants(policies: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Whether policies of a role allow an action on a resource, on no condition, and deny none."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in listed(policy.get("Statement", []))
        if _covers(statement, action)
        and any(_like(resource, str(one)) for one in listed(statement.get("Resource", [])))
        and (statement["Effect"] == "Deny" or not statement.get("Condition"))
    }
    return effects == {"Allow"}


def listed(value: Any) -> list[Any]:
    """A value that may stand without its list."""
    return value if isinstance(value, list) else [value]


def _names(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    return isinstance(principal, Mapping) and service in listed(principal.get("Service", []))


def _covers(statement: Mapping[str, Any], action: str) -> bool:
    patterns = listed(statement.get("Action", []))
    return any(fnmatchcase(action.lower(), str(pattern).lower()) for pattern in patterns)


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _same(value: str, wanted: str) -> bool:
    return value == wanted


def _caseless(value: str, wanted: str) -> bool:
    return value.lower() == wanted.lower()


COMPARISONS: Mapping[str, Compare] = {
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": _caseless,
    "StringEquals": _same,
    "StringEqualsIgnoreCase": _caseless,
    "StringLike": _like,
}
"""Operators of condition blocks (IAM user guide, condition operators)."""


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        _compared(operator, context.get(key.lower()), [str(one) for one in listed(wanted)])
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _compared(operator: str, given: str | None, wanted: Sequence[str]) -> bool:
    optional = operator.endswith("IfExists")
    name = operator.removesuffix("IfExists")
    if name == "Null":
        return (given is None) == (wanted[0].lower() == "true")
    negated = "Not" in name
    compare = COMPARISONS.get(name.replace("Not", "", 1))
    if compare is None:
        return False
    if given is None:
        return optional or negated
    return any(compare(given, one) for one in wanted) != negated


def principals(policy: Mapping[str, Any]) -> Iterator[str]:
    """What the policy names as principals of AWS accounts: account ids and ARNs."""
    for statement in listed(policy.get("Statement", [])):
        for key in ("Principal", "NotPrincipal"):
            named = statement.get(key)
            if isinstance(named, Mapping):
                yield from (str(one) for one in listed(named.get("AWS", [])))
