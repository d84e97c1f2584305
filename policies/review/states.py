"""What the engine says about one resource, as the rules see it: states of a digest or an event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from policies.data import UNKNOWN, Data, Options, Resource, plain
from policies.review.hidden import of_envelope
from policies.review.shape import listed, mapping, source_of, text_of

_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_SIGNATURE = "4dabf18193072939515e22adb298388d"


def at(value: Any, path: str) -> Any:
    """What stands at a property path such as `rules[0].port` or `tags["a.b"]`; None: nothing."""
    for key in keys_of(path):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 7 and int(key) < len(value):
            value = value[int(key)]
        else:
            return value if value is UNKNOWN else None
    return value


def keys_of(path: str) -> list[str]:
    """The keys and indices of a property path."""
    keys, current, quoted = [], "", False
    for character in path:
        if character == '"':
            quoted = not quoted
        elif quoted or character not in ".[]":
            current += character
        elif current:
            keys.append(current)
            current = ""
    return [*keys, current] if current else keys


def _managed_by(reference: str) -> str:
    """URN of a provider, without the id; the version of one that the engine makes is no matter."""
    return re.sub(r"::default_\w+$", "::default", reference.rpartition("::")[0])


MADE_BY_THE_CLOUD = ("id", "arn")
"""Outputs of what is created that nobody can know before."""


def resource_of(
    urn: str,
    state: Mapping[str, Any] | None,
    *,
    of: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Resource | None:
    """The resource in a state; `of`: the state that it was in before; `fresh`: there was none.

    A digest tells no outputs of what is to come: they are those of before, but for the properties
    that change. Of a fresh resource what the cloud makes is unknown.
    """
    if state is None:
        return None
    inputs, outputs = (_bag(state, key) for key in ("inputs", "outputs"))
    known = dict.fromkeys(MADE_BY_THE_CLOUD, UNKNOWN) if fresh else _kept(inputs, of or {})
    made = {"id": state["id"]} if state.get("id") else {}
    dependencies = state.get("propertyDependencies") or {}
    return Resource(
        type=type_of(urn),
        name=urn.rpartition("::")[2],
        urn=urn,
        inputs=Data(inputs),
        outputs=Data({**known, **inputs, **outputs, **made}),
        options=Options(
            protect=bool(state.get("protect")),
            retain_on_delete=bool(state.get("retainOnDelete")),
            ignore_changes=tuple(map(str, state.get("ignoreChanges") or ())),
            provider=_managed_by(str(state.get("provider") or "")),
            deleted_with=str(state.get("deletedWith") or ""),
        ),
        parent=state.get("parent") or None,
        dependencies={key: tuple(map(str, urns or ())) for key, urns in dependencies.items()},
        source=source_of(state),
    )


def _kept(inputs: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of before that no input of now contradicts."""
    old = _bag(before, "inputs")
    differs = {key for key in {*old, *inputs} if old.get(key) != inputs.get(key)}
    kept = {key: value for key, value in _bag(before, "outputs").items() if key not in differs}
    return kept | ({"id": before["id"]} if before.get("id") else {})


def _bag(state: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Inputs or outputs; a bag that is secret or unknown as a whole tells nothing."""
    found = masked(state.get(key) or {})
    return found if isinstance(found, dict) else {}


def masked(value: Any) -> Any:
    """Plain data with every secret hidden: what a review shows must never hold one."""
    if isinstance(value, Mapping):
        if value.get(_SIGNATURE) == _SECRET:
            return of_envelope(value)
        return plain(value) if _SIGNATURE in value else {k: masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return plain(value)


def type_of(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def state_of(value: Any, where: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    state = mapping(value, where)
    for key in ("inputs", "outputs", "propertyDependencies"):
        if state.get(key) is not None:
            mapping(state[key], f"{where}.{key}")
    for key in ("id", "parent"):
        if state.get(key) is not None:
            text_of(state[key], f"{where}.{key}")
    if state.get("ignoreChanges") is not None:
        listed(state["ignoreChanges"], f"{where}.ignoreChanges")
    for key, urns in (state.get("propertyDependencies") or {}).items():
        listed(urns or [], f"{where}.propertyDependencies[{key!r}]")
    return state
