"""What CloudFormation's schemas say of the places of a resource: sets, and what it is a part of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SEQUENCES = re.compile(
    r"(?<!scheduled)actions$|containers$|stages$|steps$|behaviors$|columns$|transform|^rules$"
    r"|servers$|searchdomains$|functions$|layers$|instancetypes$|overrides$|placementstrategy$",
    re.I,
)
"""Names of lists that are gone through from the first on, though a schema says that each of their
elements is there once: steps of a release, rules of which the first one holds, servers that are
asked in turn."""


def sets(schema: Mapping[str, Any], inputs: Iterable[str]) -> Iterator[str]:
    for name in inputs:
        found = schema["properties"][name]
        free = isinstance(found, dict) and (
            found.get("insertionOrder") is False or found.get("uniqueItems") is True
        )
        if free and not SEQUENCES.search(name):
            yield name


RANKED = re.compile(
    r"command|args|arguments|entrypoint|container|stage|step|behavior|order|priorit|column|key|rule"
    r"|action|sort|process|transform|route|filter|fallback|condition|values$",
    re.I,
)
"""Names of lists that have an order, whatever a schema says of them."""

LEVELS = 6
"""Of a list inside of an input."""


def inner_sets(
    schema: Mapping[str, Any],
    properties: Mapping[str, Any] | None = None,
    path: tuple[str, ...] = (),
) -> Iterator[str]:
    """Lists inside of inputs whose order the schema says to mean nothing, by their place."""
    for name, value in (schema["properties"] if properties is None else properties).items():
        here = (*path, name)
        items = value.get("items") or {}
        reference = value.get("$ref") or items.get("$ref") or ""
        told = schema.get("definitions", {}).get(reference.rpartition("/")[2], {})
        free = value.get("insertionOrder") is False or told.get("insertionOrder") is False
        if free and len(here) > 1 and not (RANKED.search(name) or SEQUENCES.search(name)):
            yield ".".join(here)
        inner = {**told.get("properties", {}), **items.get("properties", {})}
        if len(here) < LEVELS:
            yield from inner_sets(schema, inner, here)


def within(schema: Mapping[str, Any], inputs: Iterable[str]) -> list[str]:
    """Inputs that name what it is a part of: with its own name they identify it."""
    parts = [path.rpartition("/")[2] for path in schema.get("primaryIdentifier", ())]
    return [name for name in parts if name in {*inputs}] if len(parts) > 1 else []
