"""What the stack exports: a change of it reaches people and stacks that this review cannot see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.data import UNKNOWN
from policies.review.model import StackChange
from policies.review.parts.changes import shown
from policies.review.report import Context, Reason, Risk, Row, Section

EXPORTED = "RV-016"
READERS = "who reads these by a StackReference is not known here"
NOT_TOLD = (
    "the stack exports {count} values; a digest does not tell what becomes of them, the event "
    "stream does"
)

Line = tuple[str, str, Any, Any]
"""Sign, name, old, new."""


def part(change: StackChange, context: Context) -> Section | None:
    """One row per output that goes, changes or comes."""
    del context
    before, after = change.outputs_before, change.outputs_after
    if after is None:
        note = NOT_TOLD.format(count=len(before))
        found = any(True for _ in change.changed())
        return Section(id=ID, title=TITLE, notes=[note], folded=True) if before and found else None
    lines = list(_lines(change))
    if not lines:
        return None
    return Section(
        id=ID,
        title=TITLE,
        columns=("", "output", "before", "afterwards"),
        rows=[
            Row(
                cells=(sign, name, *("" if value is None else shown(value) for value in values)),
                risk=_risk(sign),
            )
            for sign, name, *values in lines
        ],
        notes=[READERS],
        data={
            "outputs": [
                {"change": sign, "name": name, "old": shown(old), "new": shown(new)}
                for sign, name, old, new in lines
            ]
        },
        reasons=[_reason(sign, name, new) for sign, name, _, new in lines if sign != "+"],
    )


ID, TITLE = "outputs", "What other stacks read"


def _lines(change: StackChange) -> Iterator[Line]:
    before, after = change.outputs_before, change.outputs_after or {}
    for sign, names in (
        ("-", before.keys() - after.keys()),
        ("~", before.keys() & after.keys()),
        ("+", after.keys() - before.keys()),
    ):
        for name in sorted(names):
            old, new = before.get(name), after.get(name)
            if sign != "~" or old != new:
                yield sign, name, old, new


def _risk(sign: str) -> Risk:
    return {"-": "high", "~": "medium"}.get(sign, "low")  # type: ignore[return-value]


def _reason(sign: str, name: str, new: Any) -> Reason:
    if sign == "-":
        what, fix = "goes", "keep it until nobody reads it"
    else:
        what = "may change" if new is UNKNOWN else "changes"
        fix = "deploy the stacks that read it afterwards"
    return Reason(
        rule=EXPORTED,
        risk=_risk(sign),
        message=f"output {name} {what}; {READERS}",
        fix=fix,
    )
