"""A change from two lists of resources: what a stack was made of, and what it would be made of.

For where no engine can run: a pull request without credentials compares the mocked synth of two
commits. What has no state cannot drift, so such a review says what it was read from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.review.hidden import hide
from policies.review.model import Change, Kind, Property, StackChange, lifted
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
    return StackChange(
        env=env,
        origin="mocked synth",
        changes=[_change(urn, old.get(urn), new.get(urn), differ) for urn in sorted({*old, *new})],
        commit=commit,
        base=base,
    )


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
