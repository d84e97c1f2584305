"""Encryption that changes: another key for existing data, or a key that goes while it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from policies.data import UNKNOWN
from policies.review.model import Change, Property, StackChange
from policies.review.report import Context, Reason, Row, Section

CHANGED = "RV-005"
KEY = "aws:kms/key:Key"
NAMES = (
    "kmskey",
    "kmskeyid",
    "kmskeyarn",
    "kmsmasterkeyid",
    "volumekmskeyid",
    "keyarn",
    "kmskeyidentifier",
)
"""Properties that name a key, in lower case without underscores."""


def part(change: StackChange, context: Context) -> Section | None:
    """One row per key that changes hands or goes."""
    del context
    found = [
        pair for item in change.changed() for pair in (*_other_key(item), *_lost_key(item, change))
    ]
    if not found:
        return None
    return Section(
        id="keys",
        title="Encryption",
        columns=("resource", "what"),
        rows=[
            Row(cells=(item.name, r.message), risk=r.risk, urn=item.urn, source=item.source)
            for item, r in found
        ],
        data={"changes": [{"urn": item.urn, "what": r.message} for item, r in found]},
        reasons=[reason for _, reason in found],
    )


def names_a_key(item: Property) -> bool:
    """Whether this property says which key encrypts something."""
    return is_a_key(item.path.rpartition(".")[2].partition("[")[0])


def is_a_key(name: str) -> bool:
    """Whether this is a name of a property that names a key."""
    return name.lower().replace("_", "") in NAMES


def _other_key(item: Change) -> Iterator[tuple[Change, Reason]]:
    for found in (*item.properties, *_inner(item)):
        if not names_a_key(found) or found.old is None:
            continue
        gone = found.new is None
        message = f"{item.name}.{found.path} " + (
            "no longer names a key" if gone else f"changes from {found.old} to {_shown(found.new)}"
        )
        yield (
            item,
            Reason(
                rule=CHANGED,
                risk="critical" if found.known else "high",
                message=message,
                fix="data stays encrypted with the old key: keep it, and re-encrypt what must move",
                urn=item.urn,
                source=item.source,
                blocks=gone,
            ),
        )


def _inner(item: Change) -> Iterator[Property]:
    """Keys inside of what the engine names as a whole."""
    named = {found.path for found in item.properties}
    if item.operation == "create" or item.old is None:
        return
    for leaf, _ in item.differences:
        if len(leaf.path) > 1 and is_a_key(leaf.name) and leaf.text not in named:
            kind: Literal["update", "delete"] = "delete" if leaf.new is None else "update"
            known = leaf.new is not UNKNOWN
            yield Property(path=leaf.text, kind=kind, known=known, old=leaf.old, new=leaf.new)


def _lost_key(item: Change, change: StackChange) -> Iterator[tuple[Change, Reason]]:
    if item.type != KEY or item.operation not in ("delete", "replace"):
        return
    users = sorted(
        other.name
        for other in change.changes
        if any(item.urn in urns for urns in other.resource.dependencies.values())
    )
    yield (
        item,
        Reason(
            rule=CHANGED,
            risk="critical",
            message=f"key {item.name} goes; "
            + (f"used by {', '.join(users)}" if users else "no user left"),
            fix="make a second key and move the alias; keep this one until nothing needs it",
            urn=item.urn,
            source=item.source,
            blocks=bool(users),
        ),
    )


def _shown(value: object) -> str:
    return "a key known after the update" if value is UNKNOWN else str(value)
