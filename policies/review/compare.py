"""A change from two lists of resources: what a stack was made of, and what it would be made of.

For where no engine can run: a pull request without credentials compares the mocked synth of two
commits. What has no state cannot drift, so such a review says what it was read from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.review.hidden import hide
from policies.review.model import Change, Kind, Operation, Property, StackChange, lifted
from policies.review.states import at


@dataclass(frozen=True, kw_only=True, slots=True)
class Differ:
    """How the provider of some types compares inputs."""

    properties: Callable[
        [str, Mapping[str, Any], Mapping[str, Any]], Sequence[tuple[str, Kind, bool]]
    ]
    """Type, inputs before and after -> path, kind, whether it replaces."""
    delete_first: Callable[[str, Mapping[str, Any], Mapping[str, Any]], bool]
    """Whether a replacement keeps the old one's name, so that the old one goes first."""


def top_level(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Sequence[tuple[str, Kind, bool]]:
    """What differs by name alone; knows no type, so nothing replaces."""
    del token
    found: list[tuple[str, Kind, bool]] = []
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            kind: Kind = "add" if key not in old else "delete" if key not in new else "update"
            found.append((key, kind, False))
    return found


PLAIN = Differ(properties=top_level, delete_first=lambda token, old, new: False)


def compare(
    env: str,
    before: Sequence[Resource],
    after: Sequence[Resource],
    *,
    differ: Differ = PLAIN,
    commit: str = "",
    base: str = "",
) -> StackChange:
    """One change per resource of either list, by URN."""
    old, new = ({item.urn: item for item in side} for side in (before, after))
    made = {urn: _change(urn, old.get(urn), new.get(urn), differ) for urn in sorted({*old, *new})}
    return StackChange(
        env=env,
        origin="mocked synth",
        changes=list(followed(made, differ).values()),
        commit=commit,
        base=base,
    )


def followed(made: Mapping[str, Change], differ: Differ) -> dict[str, Change]:
    """With what a replacement takes along: whatever is made from the id of what is made anew.

    A synth knows no id, so an input that comes from one is unknown, before and after alike.
    """
    found = dict(made)
    readers: dict[str, list[tuple[str, str]]] = {}
    for urn, item in found.items():
        for name, sources in item.new.dependencies.items() if item.new and item.old else ():
            for source in sources:
                readers.setdefault(source, []).append((urn, name))
    todo = [urn for urn, item in found.items() if item.operation == "replace"]
    while todo:
        source = todo.pop()
        for urn, name in readers.get(source, ()):
            item = found[urn]
            moved = _moved(item, name, found[source], differ)
            if moved is not None:
                found[urn] = moved
                if moved.operation == "replace" and item.operation != "replace":
                    todo.append(urn)
    return found


def _moved(item: Change, name: str, source: Change, differ: Differ) -> Change | None:
    """The change with an input that gets the id of what is made anew; None: it does not."""
    assert item.old is not None and item.new is not None
    value = item.new.inputs.value.get(name)
    if not _has_unknown(value) or any(p.root == name for p in item.properties):
        return None
    inputs = item.new.inputs.value
    before = {**inputs, name: f"the id of the old {source.name}"}
    after = {**inputs, name: f"the id of the new {source.name}"}
    replaces = any(each[2] for each in differ.properties(item.type, before, after))
    property_ = Property(
        path=name, kind="update", replaces=replaces, old=before[name], new=after[name]
    )
    first = differ.delete_first(item.type, inputs, inputs)
    becomes: Operation = "replace" if replaces or item.operation == "replace" else "update"
    return replace(
        item,
        operation=becomes,
        properties=(*item.properties, property_),
        delete_first=item.delete_first or (becomes == "replace" and first),
    )


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_unknown, value.values()))
    return any(map(_has_unknown, value)) if isinstance(value, list) else value is UNKNOWN


def _change(urn: str, old: Resource | None, new: Resource | None, differ: Differ) -> Change:
    resource = new or old
    assert resource is not None
    old, new = hide(old, new)
    about: dict[str, Any] = {
        "urn": urn,
        "type": resource.type,
        "name": resource.name,
        "old": old,
        "new": new,
    }
    if old is None:
        return Change(operation="create", **about)
    if new is None:
        return Change(operation="delete", **about)
    one, two = old.inputs.value, new.inputs.value
    properties = tuple(
        Property(
            path=path,
            kind=kind,
            replaces=replaces,
            known=at(two, path) is not UNKNOWN,
            old=at(one, path),
            new=at(two, path),
        )
        for path, kind, replaces in differ.properties(resource.type, one, two)
    )
    if any(item.replaces for item in properties):
        first = differ.delete_first(resource.type, one, two)
        return Change(operation="replace", properties=properties, delete_first=first, **about)
    changed = bool(properties) or bool(lifted(old, new))
    return Change(operation="update" if changed else "same", properties=properties, **about)
