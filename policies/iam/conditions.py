"""Condition operators of IAM policies.

Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "Single-valued vs.
multivalued context keys".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from policies.data import UNKNOWN
from policies.iam.patterns import (
    Template,
    like,
    matches_arn,
    matches_filled,
    matches_like,
    template,
)
from policies.iam.request import text

Compare = Callable[[str, str], bool]
"""Whether a value of the request meets one of the policy."""


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _time(value: str) -> float | None:
    """A date of ISO 8601 or seconds since the epoch."""
    if (number := _number(value)) is not None:
        return number
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _in_network(given: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _ordered(read: Callable[[str], float | None], holds: Callable[[float, float], bool]) -> Compare:
    def compare(given: str, wanted: str) -> bool:
        one, other = read(given), read(wanted)
        return one is not None and other is not None and holds(one, other)

    return compare


def _same(given: str, wanted: str) -> bool:
    return given == wanted


def _same_but_case(given: str, wanted: str) -> bool:
    return given.lower() == wanted.lower()


ORDERED: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda one, other: one == other,
    "LessThan": lambda one, other: one < other,
    "LessThanEquals": lambda one, other: one <= other,
    "GreaterThan": lambda one, other: one > other,
    "GreaterThanEquals": lambda one, other: one >= other,
}

POSITIVE: Mapping[str, Compare] = {
    "StringEquals": _same,
    "StringEqualsIgnoreCase": _same_but_case,
    "StringLike": matches_like,
    "Bool": _same_but_case,
    "BinaryEquals": _same,
    "IpAddress": _in_network,
    "ArnEquals": matches_arn,
    "ArnLike": matches_arn,
    **{f"Numeric{name}": _ordered(_number, holds) for name, holds in ORDERED.items()},
    **{f"Date{name}": _ordered(_time, holds) for name, holds in ORDERED.items()},
}

NEGATED: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
"""Operator -> the one that must hold for no value of the policy."""

WITH_WILDCARDS = frozenset(("StringLike", "ArnEquals", "ArnLike"))
OPERATORS: Mapping[str, str] = {name.lower(): name for name in (*POSITIVE, *NEGATED, "Null")}
SETS: Mapping[str, str] = {"forallvalues": "all", "foranyvalue": "any"}


class UnknownOperator(ValueError):
    """IAM refuses a policy with such an operator (MalformedPolicyDocument)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator over one key: all conditions of a statement must hold."""

    key: str
    operator: str
    negated: bool
    over: str
    """`all` or `any` of the request's values; empty: the key has one value."""

    if_exists: bool
    wanted: tuple[str | Template, ...]

    def holds(self, context: Mapping[str, Any]) -> bool | None:
        """Whether it is met; None where that hangs on what is not known of the request."""
        given = context.get(self.key)
        if given is UNKNOWN:
            return None
        if self.operator == "Null":
            return (not given) == (str(self.wanted[0]).lower() == "true")
        if not given:
            return self._without_values()
        lacking: list[bool] = []
        met = [self._meets(value, context, lacking) for value in given]
        if lacking:
            return None
        return all(met) if self._needs_all() else any(met)

    def _without_values(self) -> bool:
        if self.if_exists or self.over == "all":
            return True
        return self.negated and not self.over

    def _needs_all(self) -> bool:
        """A negated operator over a single key holds where no value of the policy matches."""
        return self.over == "all" or (self.negated and not self.over)

    def _meets(self, value: str, context: Mapping[str, Any], lacking: list[bool]) -> bool:
        compare = POSITIVE[self.operator]
        found = any(
            compare(value, wanted)
            if isinstance(wanted, str)
            else self._meets_template(value, wanted, context, lacking)
            for wanted in self.wanted
        )
        return found != self.negated

    def _meets_template(
        self, value: str, wanted: Template, context: Mapping[str, Any], lacking: list[bool]
    ) -> bool:
        filled = wanted.filled(lambda name: variable(name, context, lacking))
        if filled is None:
            return False
        if self.operator in WITH_WILDCARDS:
            return matches_filled(value, filled, like)
        return POSITIVE[self.operator](value, "".join(filled))


def variable(name: str, context: Mapping[str, Any], lacking: list[bool]) -> str | None:
    """The value of a policy variable, which must be a single one; `lacking` hears of unknowns."""
    value = context.get(name.lower())
    if value is UNKNOWN:
        lacking.append(True)
        return None
    return value[0] if value and len(value) == 1 else None


def conditions_of(block: Mapping[str, Any], *, variables: bool) -> tuple[Condition, ...]:
    """The Condition element of a statement; UnknownOperator where it names none of IAM's."""
    return tuple(
        _condition(operator, key, wanted, variables=variables)
        for operator, keys in block.items()
        for key, wanted in keys.items()
    )


def _condition(operator: str, key: str, wanted: Any, *, variables: bool) -> Condition:
    over, _, name = operator.rpartition(":")
    if over and over.lower() not in SETS:
        raise UnknownOperator(operator)
    if_exists = name.lower().endswith("ifexists")
    known = OPERATORS.get(name[: -len("IfExists")].lower() if if_exists else name.lower())
    if known is None or (known == "Null" and (if_exists or over)):
        raise UnknownOperator(operator)
    listed: Iterable[Any] = wanted if isinstance(wanted, list | tuple) else (wanted,)
    texts = tuple(text(value) for value in listed)
    return Condition(
        key=key.lower(),
        operator=NEGATED.get(known, known),
        negated=known in NEGATED,
        over=SETS.get(over.lower(), ""),
        if_exists=if_exists,
        wanted=tuple((template(value) if variables else None) or value for value in texts),
    )
