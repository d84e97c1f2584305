"""Tags that something goes by: Kubernetes, a backup plan, a patch group, a condition of a policy.

A tag says whose a resource is, until a machine chooses by it. Those are known by their name, or
because something else of the same stack names them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.data import Resource
from policies.reading.principals import listed
from policies.review.model import TAGS, Change, StackChange

BY_NAME = re.compile(r"/|^aws:|patch ?group|backup|snapshot|schedul|retention", re.I)
"""Keys with a domain (Kubernetes, Karpenter), Systems Manager's `Patch Group`, and those by which
AWS Backup, Data Lifecycle Manager and Instance Scheduler choose what they keep or stop."""

CONDITIONS = re.compile(r"(?:Resource|Principal)Tag/([\w+=.@-]+)")
"""Condition keys about tags (IAM user guide, "Controlling access using tags")."""

SELECTIONS = ("selectionTags", "targetTags", "ec2TagFilters", "tagFilters", "targets")
"""Inputs that choose resources by their tags."""


def moved(change: StackChange) -> Iterator[tuple[Change, str]]:
    """Each update that changes a tag which something goes by, with what it changes."""
    found = [(item, differs) for item in change.of("update") if (differs := _differs(item))]
    named = _named(change.after()) if found else frozenset()
    for item, differs in found:
        told = [f"{key} {old or 'none'} -> {new or 'none'}" for key, (old, new) in differs.items()
                if key in named or BY_NAME.search(key)]  # fmt: skip
        if told:
            yield item, ", ".join(told)


def _differs(item: Change) -> dict[str, tuple[Any, Any]]:
    """Key -> its value before and after; the tags that all have in common are told once."""
    if item.old is None or item.new is None:
        return {}
    before, after = (_tags(side.inputs.value.get(TAGS[0])) for side in (item.old, item.new))
    keys = sorted({*before, *after})
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def _tags(value: Any) -> Mapping[str, Any]:
    """As a mapping, or as the list of keys and values of aws-native."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    pairs = (item for item in listed(value) if isinstance(item, Mapping) and "key" in item)
    return {str(item["key"]): item.get("value") for item in pairs}


def _named(resources: Iterable[Resource]) -> frozenset[str]:
    """The keys by which something of the stack chooses, or lets somebody in."""
    found: set[str] = set()
    for resource in resources:
        for name, value in resource.inputs.value.items():
            if name in SELECTIONS:
                found |= {*_tags(value)}
            elif isinstance(value, str) and "Tag/" in value:
                found |= {*CONDITIONS.findall(value)}
            elif isinstance(value, Mapping) and "Statement" in value:
                found |= {*CONDITIONS.findall(json.dumps(value, default=str))}
    return frozenset(found)
