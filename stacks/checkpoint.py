"""What a checkpoint of Pulumi must be before an engine may act on it.

The engine checks the same at its end and answers a damaged one with the trace of a panic
(pulumi/pulumi, pkg/resource/deploy/snapshot.go, VerifyIntegrity).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

VERSION = 3
"""Of the format (pulumi/pulumi, sdk/go/common/apitype/stacks.go, CheckpointV3)."""

NAMED_AT_MOST = 3


class Damaged(Exception):
    """No engine may act on it; the text says what it is."""


def resources_of(content: bytes, stack: str) -> list[Mapping[str, Any]]:
    """The resources in a checkpoint of this stack, in its order; Damaged says what is wrong."""
    if not content.strip():
        raise Damaged("an empty file")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"no JSON ({error})") from None
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise Damaged(f"no checkpoint of version {VERSION}")
    checkpoint = data.get("checkpoint")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("latest", {}), dict):
        raise Damaged("no checkpoint")
    named = str(checkpoint.get("stack", "")).rpartition("/")[2]
    if named != stack:
        raise Damaged(f"the checkpoint of {named or 'no stack'}")
    resources = checkpoint.get("latest", {}).get("resources") or []
    if not isinstance(resources, list):
        raise Damaged("resources that are no list")
    _check(resources, stack)
    return resources


def written_at(content: bytes) -> str:
    """When an engine wrote a well-formed checkpoint, as ISO 8601 in UTC; empty where it is new."""
    latest = json.loads(content)["checkpoint"].get("latest") or {}
    return str((latest.get("manifest") or {}).get("time", ""))


def _check(resources: Sequence[Any], stack: str) -> None:
    """Damaged where a resource is none, is there twice, or needs one that does not stand before."""
    known: set[str] = set()
    standing: set[str] = set()
    for place, resource in enumerate(resources):
        if not isinstance(resource, dict):
            raise Damaged(f"resource {place} that is no object")
        urn, type_ = str(resource.get("urn")), resource.get("type")
        parts = urn.split("::")
        if len(parts) < 4 or parts[0] != f"urn:pulumi:{stack}":
            raise Damaged(f"resource {place} with the URN {urn!r}, which is none of {stack}")
        if parts[2].rpartition("$")[2] != type_:
            raise Damaged(f"{urn} of type {type_!r}")
        if resource.get("custom") and not resource.get("id"):
            raise Damaged(f"{urn} without an id")
        for needed in _needed(resource):
            if needed not in known:
                raise Damaged(f"{urn}, which needs {needed}, which does not stand before it")
        if not resource.get("delete"):
            if urn in standing:
                raise Damaged(f"{urn} twice")
            standing.add(urn)
        known.add(urn)


def _needed(resource: Mapping[str, Any]) -> list[str]:
    """URNs of parent, provider and dependencies."""
    found = [resource.get("parent"), str(resource.get("provider") or "").rpartition("::")[0]]
    return [str(urn) for urn in (*found, *(resource.get("dependencies") or [])) if urn]


def difference(found: Sequence[Mapping[str, Any]], good: Sequence[Mapping[str, Any]]) -> str:
    """How the resources of one checkpoint differ from those of another, in words."""
    here, there = _by_identity(found), _by_identity(good)
    lost = [urn for urn, _ in there if urn not in {urn for urn, _ in here}]
    new = [urn for urn, _ in here if urn not in {urn for urn, _ in there}]
    ids = [urn for urn, id_ in here if (urn, id_) not in there and urn not in new]
    inside = [key[0] for key, state in here.items() if key in there and there[key] != state]
    kinds = (
        (lost, "without"),
        (new, "with the additional"),
        (ids, "with other ids of"),
        (inside, "with other contents of"),
    )
    said = [f"{words} {_names(urns)}" for urns, words in kinds if urns]
    return "one " + ", ".join(said) if said else "the same resources in other words"


def _by_identity(resources: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(str(r["urn"]), str(r.get("id", ""))): r for r in resources}


def _names(urns: Sequence[str]) -> str:
    shown = ", ".join(urn.rpartition("::")[2] for urn in urns[:NAMED_AT_MOST])
    more = len(urns) - NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown
