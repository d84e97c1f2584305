"""The shape of an answer: which members it has, and of what kind each is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Shape = Any
"""A structure or map as an object by member (`*` for any key of a map), a list as a list of at
most one shape, and anything else by its kind, such as `arn`; two kinds as `arn or text`."""


def shape_of(value: Any, model: Any) -> Shape:
    """The shape of a parsed answer, by botocore's model of it, which tells maps from structures.

    Members that are null are absent, as in AWS's own answers.
    """
    kind = model.type_name if model is not None else ""
    if kind == "structure" and isinstance(value, Mapping):
        known = model.members
        return {
            name: shape_of(item, known.get(name))
            for name, item in sorted(value.items())
            if item is not None
        }
    if kind == "map" and isinstance(value, Mapping):
        found: Shape = None
        for item in value.values():
            found = merged(found, shape_of(item, model.value))
        return {} if found is None else {"*": found}
    if kind == "list" and isinstance(value, list):
        found = None
        for item in value:
            found = merged(found, shape_of(item, model.member))
        return [] if found is None else [found]
    return kind_of(value, kind)


def kind_of(value: Any, kind: str) -> str:
    """What a single value is; of a string what it looks like."""
    if kind != "string" or not isinstance(value, str):
        return kind or type(value).__name__
    if value.startswith("arn:"):
        return "arn"
    if value.startswith(("http://", "https://")):
        return "url"
    if value.startswith("{"):
        try:
            json.loads(value)
        except ValueError:
            return "text"
        return "json"
    return "text"


def merged(one: Shape, other: Shape) -> Shape:
    """The shape that has what either has."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted({*one, *other})
        return {name: merged(one.get(name), other.get(name)) for name in names}
    if isinstance(one, list) and isinstance(other, list):
        found = merged(*(some[0] if some else None for some in (one, other)))
        return [] if found is None else [found]
    return " or ".join(sorted({*_kinds(one), *_kinds(other)}))


def _kinds(shape: Shape) -> list[str]:
    if isinstance(shape, str):
        return shape.split(" or ")
    return ["structure" if isinstance(shape, dict) else "list"]


def differences(local: Shape, aws: Shape, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two shapes of one operation differ: path, what local has, what AWS has.

    An empty list or map says nothing of its members.
    """
    if isinstance(local, dict) and isinstance(aws, dict):
        if not local or not aws:
            return
        for name in sorted({*local, *aws}):
            here = f"{path}.{name}" if path else name
            if name not in local or name not in aws:
                yield here, _said(local.get(name)), _said(aws.get(name))
            else:
                yield from differences(local[name], aws[name], here)
    elif isinstance(local, list) and isinstance(aws, list):
        if local and aws:
            yield from differences(local[0], aws[0], f"{path}[]")
    elif set(_kinds(local)).isdisjoint(_kinds(aws)):
        yield path, _said(local), _said(aws)


def _said(shape: Shape) -> str:
    return "nothing" if shape is None else " or ".join(_kinds(shape))


def compared(
    local: Mapping[str, Shape], aws: Mapping[str, Shape]
) -> Iterator[tuple[str, str, str, str]]:
    """Operation, path, local's and AWS's, of the operations that both were asked."""
    for operation in sorted({*local} & {*aws}):
        for path, here, there in differences(local[operation], aws[operation]):
            yield operation, path, here, there
