"""What IAM would decide, for tests: denials first, then grants, conditions included.

As the IAM user guide tells it (policy evaluation logic; condition operators), for the operators
that our policies use; any other raises KeyError, so that no condition is passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, str | Sequence[str]]


def decide(
    policies: Sequence[Mapping[str, Any]], action: str, resource: str = "*", **context: Any
) -> str:
    """`deny`, `allow`, or `nothing` for a request; context keys are written `aws__SourceVpce`."""
    known = {key.replace("__", ":"): value for key, value in context.items()}
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in policy["Statement"]
        if _about(statement, action, resource) and _holds(statement.get("Condition", {}), known)
    }
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "nothing"


def listed(value: Any) -> list[Any]:
    """A value that may stand without its list."""
    return value if isinstance(value, list) else [value]


def _about(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    actions = any(
        fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"])
    )
    return actions and any(_like(resource, pattern) for pattern in listed(statement["Resource"]))


def _like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _equal(value: str, wanted: str) -> bool:
    return value == str(wanted)


def _some(holds: Callable[[str, str], bool], given: Any, wanted: Any) -> bool:
    return given is not None and any(holds(g, w) for g in listed(given) for w in listed(wanted))


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "ArnEquals": lambda given, wanted: _some(_like, given, wanted),
    "ArnLike": lambda given, wanted: _some(_like, given, wanted),
    "ArnNotEquals": lambda given, wanted: not _some(_like, given, wanted),
    "ArnNotLike": lambda given, wanted: not _some(_like, given, wanted),
    "Bool": lambda given, wanted: _some(_equal, given, wanted),
    "BoolIfExists": lambda given, wanted: given is None or _some(_equal, given, wanted),
    "ForAnyValue:StringEquals": lambda given, wanted: _some(_equal, given, wanted),
    "ForAnyValue:StringNotEquals": lambda given, wanted: any(
        not _some(_equal, one, wanted) for one in listed(given or [])
    ),
    "Null": lambda given, wanted: (given is None) == (str(wanted) == "true"),
    "StringEquals": lambda given, wanted: _some(_equal, given, wanted),
    "StringLike": lambda given, wanted: _some(_like, given, wanted),
    "StringNotEquals": lambda given, wanted: not _some(_equal, given, wanted),
}


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        OPERATORS[operator](context.get(key), wanted)
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )
