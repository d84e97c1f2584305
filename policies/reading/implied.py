"""Whether one condition of a statement lets through nothing that another keeps out.

By the operators that IAM decides with (policies/iam/conditions.py): a comparison with fixed values
implies another where each of its values meets it, one with patterns, ranges or limits where each of
its own lies within one of the other's. What cannot be shown is not implied. Source: IAM user guide,
"IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.iam.conditions import NEGATED, OPERATORS, POSITIVE, WITH_WILDCARDS
from policies.iam.patterns import matches_arn, matches_like
from policies.reading.networks import added, networks

Comparison = tuple[str, str, frozenset[str]]
"""Operator and key in lower case, and the values."""

FIXED = frozenset(("StringEquals", "StringLike", "ArnEquals", "ArnLike", "Bool", "NumericEquals",
                   "DateEquals", "StringEqualsIgnoreCase"))  # fmt: skip
"""Operators that name the values which they let through."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, taken apart."""

    over: str
    """Such as `foranyvalue`; empty for a single value."""
    name: str
    """The positive one."""
    negated: bool
    if_exists: bool


def _operator(text: str) -> Operator | None:
    over, _, name = text.rpartition(":")
    plain = name.removesuffix("ifexists")
    known = OPERATORS.get(plain)
    if known is None:
        return None
    return Operator(over, NEGATED.get(known, known), known in NEGATED, plain != name)


def is_wider(wide: Iterable[Comparison], narrow: Iterable[Comparison]) -> bool:
    """Whether every request that meets the second meets the first."""
    mine = list(narrow)
    return all(any(_implies(one, other) for one in mine) for other in wide)


def _implies(one: Comparison, other: Comparison) -> bool:
    if one == other:
        return True
    first, second = _operator(one[0]), _operator(other[0])
    if first is None or second is None or one[1] != other[1] or first.over != second.over:
        return False
    lacking = second.if_exists or not first.if_exists or second.negated  # without the key
    if not lacking or "Null" in (first.name, second.name):
        return False
    if first.negated and second.negated and first.name == second.name:
        return all(_is_within(first.name, value, first.name, one[2]) for value in other[2])
    if first.negated or second.negated:
        return False
    return all(_is_within(first.name, value, second.name, other[2]) for value in one[2])


def _is_within(name: str, value: str, other: str, among: Iterable[str]) -> bool:
    """Whether all that one value lets through is let through by one of the others."""
    return any(_one_within(name, value, other, wanted) for wanted in among)


def _one_within(name: str, value: str, other: str, wanted: str) -> bool:
    if name == other and value == wanted:
        return True
    if "${" in value or "${" in wanted:
        return False
    if name == other == "IpAddress":
        return not added(networks([wanted]), networks([value])) and bool(networks([value]))
    if name in FIXED and (name not in WITH_WILDCARDS or not {"*", "?"} & {*value}):
        return POSITIVE[other](value, wanted)
    if name in WITH_WILDCARDS and other in WITH_WILDCARDS and "?" not in wanted:
        arn = name[:3] == other[:3] == "Arn"
        return (matches_arn if arn else matches_like)(value, wanted) and name[:3] == other[:3]
    return _is_stricter(name, value, other, wanted)


def _is_stricter(name: str, value: str, other: str, wanted: str) -> bool:
    """A limit of the same side, such as less than 5 and less than 10."""
    side, least = _side(name), _side(other)
    if not side or side != least:
        return False
    at_edge = other.endswith("Equals") or not name.endswith("Equals")
    kind = name.partition("Less")[0].partition("Greater")[0]
    return POSITIVE[f"{kind}{side}{'Equals' if at_edge else ''}"](value, wanted)


def _side(name: str) -> str:
    """`LessThan` or `GreaterThan`, of numbers or of dates."""
    return next((side for side in ("LessThan", "GreaterThan") if side in name), "")
