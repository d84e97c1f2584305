"""Conditions of a Condition step: how they are written, and whether they hold."""

import operator
from collections.abc import Callable, Iterator, Mapping
from reprlib import repr as shown
from typing import Any

from pipelines.executor.grammar import DEPTH_LIMIT, GrammarError

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
"""Condition types with a LeftValue and a RightValue."""

_MEMBERS = {
    **{name: ("LeftValue", "RightValue") for name in COMPARISONS},
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}

_VALUES = ("LeftValue", "RightValue", "QueryValue")
"""Members that are one value."""


def problems(conditions: Any, where: str, *, depth: int = 0) -> Iterator[str]:
    """What is wrong with how a list of conditions is written."""
    if not isinstance(conditions, list | tuple) or not conditions:
        yield f"{where} must be a list of conditions, got {shown(conditions)}"
        return
    for index, condition in enumerate(conditions):
        yield from _problems_of_one(condition, f"{where}[{index}]", depth)


def _problems_of_one(condition: Any, where: str, depth: int) -> Iterator[str]:
    kind = condition.get("Type") if isinstance(condition, Mapping) else None
    if depth > DEPTH_LIMIT:
        yield f"{where} is nested deeper than {DEPTH_LIMIT} levels"
    elif not isinstance(kind, str) or kind not in _MEMBERS:
        yield f"{where}.Type must be one of {', '.join(_MEMBERS)}, got {shown(kind)}"
    else:
        for member in _MEMBERS[kind]:
            value = condition.get(member)
            if value is None:
                yield f"{where}.{member} is missing"
            elif member in _VALUES and isinstance(value, list | tuple):
                yield f"{where}.{member} must be a scalar or a variable, got {shown(value)}"
        for key in sorted(str(key) for key in condition.keys() - {"Type", *_MEMBERS[kind]}):
            yield f"{where}.{key} is not a member of a condition of type {kind}"
        if kind == "Not" and condition.get("Condition") is not None:
            yield from _problems_of_one(condition["Condition"], f"{where}.Condition", depth + 1)
        if kind == "Or" and condition.get("Conditions") is not None:
            yield from problems(condition["Conditions"], f"{where}.Conditions", depth=depth + 1)
        if kind == "In" and not isinstance(condition.get("Values"), list | tuple):
            yield f"{where}.Values must be a list"


def hold(conditions: Any) -> bool:
    """Whether all of a list of resolved conditions hold."""
    return all(_holds(condition) for condition in conditions)


def _holds(condition: Mapping[str, Any]) -> bool:
    kind = condition["Type"]
    if kind == "Not":
        return not _holds(condition["Condition"])
    if kind == "Or":
        return any(_holds(item) for item in condition["Conditions"])
    if kind == "In":
        return any(
            _compare("Equals", condition["QueryValue"], item) for item in condition["Values"]
        )
    return _compare(kind, condition["LeftValue"], condition["RightValue"])


def _compare(kind: str, left: Any, right: Any) -> bool:
    """Compare as numbers if either side is one, as text if both are text.

    Metrics arrive as JSON numbers or as text, parameters by their declared type: the number wins.
    """
    if _is_number(left) or _is_number(right):
        numbers = _number(left), _number(right)
        if None not in numbers:
            return bool(COMPARISONS[kind](*numbers))
    if kind == "Equals":
        return bool(_plain(left) == _plain(right))
    numbers = _number(left), _number(right)
    if None in numbers:
        raise GrammarError(f"cannot compare {shown(left)} with {shown(right)} by {kind}")
    return bool(COMPARISONS[kind](*numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) or value in ("True", "False") else value
