"""Policies that are attached to what they are about, in resources of any type of AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from policies.data import HIDDEN_INPUTS, UNKNOWN, Data, Resource
from policies.reading.documents import statements
from policies.reading.texts import NESTED, Path, is_meant_for_json, json_of, parts, written

HOLDERS = "aws:*"
"""Stands for every type that holds a policy with principals."""

_OTHERWISE = re.compile(
    r"aws:(iam|ssoadmin)/|aws:(sns/topic|sqs/queue|kms/key:|ec2/vpcEndpoint|organizations/"
    r"|sagemaker/modelPackageGroupPolicy)"
)
"""Types whose documents other rules read, or that let nobody in: a policy of a VPC endpoint, or of
an organization, only takes away."""

_POLICY = re.compile(r"polic(y|ies)(Document)?$", re.IGNORECASE)
_POLICIES = re.compile(r"Policy$")
_IN_YAML = re.compile(r"^\s*(- )?(Not)?Principal:", re.MULTILINE)
"""A template in YAML, for which the standard library has no reader."""


@lru_cache(4096)
def _may_hold(token: str) -> bool:
    """By the type alone: most resources of a large stack are of few types."""
    return token.startswith("aws:") and not _OTHERWISE.match(token)


def holds_policy(resource: Resource) -> bool:
    """Whether a resource lets somebody in by a document of its own, or may once that is known."""
    if not _may_hold(resource.type):
        return False
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    if not isinstance(seen.value, dict):
        return False
    return bool(_documents(resource.type, seen.value))


def attached_statements(resource: Resource) -> Iterator[Data]:
    """The statements of all documents with principals; Unknown where one is not known yet."""
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    for document in _documents(resource.type, seen.value):
        yield from statements(document.at())


def _documents(token: str, inputs: Mapping[str, Any]) -> list[Data]:
    found: list[Data] = []
    for key, value in inputs.items():
        if type(value) in NESTED and (type(value) is not str or "Principal" in value):
            _collect(value, ((), key), found)
        elif value is UNKNOWN and _POLICIES.search(token) and _POLICY.search(key):
            found.append(Data(value, key))
    return found


def _collect(node: Any, path: Path, found: list[Data]) -> None:
    """Every document in nested data, and in texts of JSON."""
    if type(node) is str:
        _read(node, path, found)
        return
    if type(node) is dict and "Statement" in node:
        listed = node["Statement"]
        each = listed if isinstance(listed, list) else [listed]
        if any(isinstance(s, dict) and s.keys() & {"Principal", "NotPrincipal"} for s in each):
            found.append(Data(node, written(path)))
        return
    for name, item in parts(node):
        if type(item) in NESTED and (type(item) is not str or "Principal" in item):
            _collect(item, (path, name), found)


def _read(text: str, path: Path, found: list[Data]) -> None:
    if '"Statement"' in text and is_meant_for_json(text):
        held = json_of(text)
        if held is not None:
            _collect(held, path, found)
            return
        why = "no JSON"
    elif _IN_YAML.search(text):
        why = "YAML"
    else:
        return
    said = f"whether {written(path)}, which is {why}, lets everybody in"
    found.append(Data(UNKNOWN, said))
