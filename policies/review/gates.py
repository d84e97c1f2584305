"""Conditions of a pipeline before and after: operator, numbers, and whether more gets through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.reading.definition import Branch, Definition, Step
from policies.review.report import Risk

MORE_BY = {
    "GreaterThan": -1,
    "GreaterThanOrEqualTo": -1,
    "LessThan": 1,
    "LessThanOrEqualTo": 1,
}
"""Operator -> the direction of its number in which more gets through."""

STRICT = ("GreaterThan", "LessThan")
REGISTERS = ("RegisterModel", "Model", "Lambda", "Callback")
"""Steps that a gate is for."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a condition."""

    left: str
    operator: str
    right: Any
    """As the definition has it; a reference to a parameter stays one."""
    number: float | None
    """What the right side comes to at first. Default: no number, or nobody knows."""


def comparisons(step: Step, definition: Definition) -> dict[str, Comparison]:
    """Every comparison of a condition, by what it looks at."""
    found = {}
    for raw, under in _flat(step.arguments.get("Conditions") or (), ""):
        left = raw.get("LeftValue", raw.get("QueryValue"))
        right = raw.get("RightValue", raw.get("Values"))
        operator = f"{under}{raw.get('Type')}"
        one = Comparison(_short(left), operator, right, _number(right, definition))
        key = one.left
        while key in found:
            key += "'"
        found[key] = one
    return found


def _flat(conditions: Any, under: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for raw in conditions:
        if not isinstance(raw, Mapping):
            continue
        if isinstance(raw.get("Conditions"), list):
            yield from _flat(raw["Conditions"], f"{under}{raw.get('Type')} ")
        elif isinstance(raw.get("Expression"), Mapping):
            yield from _flat([raw["Expression"]], f"{under}Not ")
        else:
            yield raw, under


def _short(value: Any) -> str:
    """`Evaluate auc` for what a JsonGet reads."""
    got = value.get("Std:JsonGet") if isinstance(value, Mapping) else None
    if isinstance(got, Mapping):
        source = got.get("PropertyFile", "")
        name = source.get("Get", "") if isinstance(source, Mapping) else source
        return f"{got.get('Path')} of {str(name).removeprefix('Steps.')}"
    if isinstance(value, Mapping) and isinstance(value.get("Get"), str):
        return str(value["Get"])
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _number(value: Any, definition: Definition) -> float | None:
    if isinstance(value, Mapping) and isinstance(value.get("Get"), str):
        name = value["Get"].removeprefix("Parameters.")
        value = definition.parameters.get(name, {}).get("DefaultValue")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def differences(
    old: Step, new: Step, before: Definition, after: Definition
) -> Iterator[tuple[str, Risk]]:
    """What differs, and whether more gets through; what nobody can tell lets more through."""
    was, becomes = comparisons(old, before), comparisons(new, after)
    turned = _is_turned(new, after)
    for key in sorted({*was, *becomes}):
        one, other = was.get(key), becomes.get(key)
        if one is not None and other is None:
            yield f"{_said(one)} goes: more gets through", "high"
        elif other is not None and one is None:
            yield f"{_said(other)} comes", "low"
        elif one is not None and other is not None and _differs(one, other):
            more = _lets_more(one, other, turned)
            what = "fewer get" if more is False else "more gets"
            yield (
                f"{_said(one)} -> {other.operator} {_right(other)}: {what} through",
                "low" if more is False else "high",
            )


def _differs(one: Comparison, other: Comparison) -> bool:
    return (one.operator, one.right, one.number) != (other.operator, other.right, other.number)


def _lets_more(one: Comparison, other: Comparison, turned: bool) -> bool | None:
    """None: nobody can tell."""
    direction = MORE_BY.get(other.operator.rpartition(" ")[2])
    same_side = direction == MORE_BY.get(one.operator.rpartition(" ")[2])
    if direction is None or not same_side or "Not" in one.operator + other.operator:
        return None
    if one.number is None or other.number is None:
        return None
    moved = (other.number - one.number) * direction
    if moved == 0:
        moved = (one.operator in STRICT) - (other.operator in STRICT)
    return bool(moved > 0) is not turned if moved else None


def _is_turned(step: Step, definition: Definition) -> bool:
    """Whether what the gate is for stands where the condition does not hold."""
    sides = [
        any(inner.type in REGISTERS for inner in definition.inside(Branch(step.name, side)))
        for side in ("IfSteps", "ElseSteps")
    ]
    return sides == [False, True]


def _said(one: Comparison) -> str:
    return f"{one.left} {one.operator} {_right(one)}"


def _right(one: Comparison) -> str:
    shown = _short(one.right)
    if one.number is not None and shown != f"{one.number:g}":
        return f"{one.number:g} ({shown})" if isinstance(one.right, Mapping) else shown
    return shown
