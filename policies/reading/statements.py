"""Two documents compared by what they allow, not by how they are written.

A statement is taken apart into *grants*: effect, principal, action, resource and condition, one of
each. Merged, reordered or renamed statements give the same grants; one that a wider grant of the
other document covers is no difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from policies.data import UNKNOWN
from policies.iam.patterns import arn_like, like, matches_filled
from policies.reading.implied import is_wider
from policies.reading.principals import EVERYBODY, admitted, compared, listed

LATER = "known after the update"
MOST = 4_000
"""Grants of one statement; one with more is compared as a whole."""

Condition = frozenset[tuple[str, str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing that one principal may do, or may not."""

    effect: str
    who: str
    """Empty in a policy of an identity: it is about itself."""
    action: str
    """In lower case; `not ...` for all but some."""
    resource: str
    condition: Condition

    def covers(self, other: Grant) -> bool:
        """Whether this allows, or denies, all that the other does."""
        return (
            self.effect == other.effect
            and self.who in (other.who, EVERYBODY)
            and _matches(self.action, other.action)
            and _matches(self.resource, other.resource)
            and is_wider(self.condition, other.condition)
        )


def _matches(pattern: str, name: str) -> bool:
    if pattern in (name, "*"):
        return True
    if LATER in (pattern, name):
        return False
    if pattern[:4] == NOT:
        spared = pattern[4:].split(", ")
        if name[:4] == NOT:
            return all(
                any(_matches(wide, each) for wide in name[4:].split(", ")) for each in spared
            )
        return not WILD & {*name} and not any(_matches(each, name) for each in spared)
    if name[:4] == NOT or ("?" in pattern and "*" in name):
        return False
    convert = arn_like if pattern[:4] == "arn:" else like
    return bool(WILD & {*pattern}) and matches_filled(name, (pattern,), convert)


NOT = "not "
WILD = frozenset("*?")


def grants(statement: Mapping[str, Any]) -> frozenset[Grant]:
    """Everything that a statement says, one by one."""
    effect = str(statement.get("Effect", "Allow"))
    who = admitted(statement) or frozenset(("",))
    actions = _names(statement, "Action", lower=True)
    resources = _names(statement, "Resource") or [""]
    condition = frozenset(
        (operator, key, frozenset(map(_text, values)))
        for operator, key, values in compared(statement.get("Condition"))
    )
    if len(who) * len(actions) * len(resources) > MOST:
        whole = json.dumps(statement, sort_keys=True, default=str)
        return frozenset((Grant(effect, ", ".join(sorted(who)), whole, "", condition),))
    return frozenset(
        Grant(effect, one, action, resource, condition)
        for one, action, resource in product(who, actions, resources)
    )


def _names(statement: Mapping[str, Any], key: str, *, lower: bool = False) -> list[str]:
    if f"Not{key}" in statement:
        left = sorted(map(_text, listed(statement[f"Not{key}"])))
        return [f"{NOT}{', '.join(left).lower() if lower else ', '.join(left)}"]
    found = map(_text, listed(statement.get(key)))
    return [name.lower() if lower else name for name in found]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return LATER if value is UNKNOWN else str(value)


def beyond(some: Iterable[Grant], others: Sequence[Grant]) -> list[Grant]:
    """Those of the first that none of the second covers."""
    known = frozenset(others)
    return [
        grant
        for grant in some
        if grant not in known and not any(each.covers(grant) for each in known)
    ]


def statements_of(document: Any) -> list[Mapping[str, Any]] | None:
    """The statements of a document, as JSON text or as an object; None where it is none."""
    if isinstance(document, str):
        if '"Statement"' not in document:
            return None
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            return None
    if not isinstance(document, Mapping) or "Statement" not in document:
        return None
    found = listed(document["Statement"])
    return found if all(isinstance(each, Mapping) for each in found) else None
