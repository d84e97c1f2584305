"""Policies that are attached to what they are about, in resources of any type of AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.data import HIDDEN_INPUTS, UNKNOWN, Data, Resource
from policies.reading.documents import statements
from policies.reading.texts import is_meant_for_json, json_of

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


def holds_policy(resource: Resource) -> bool:
    """Whether a resource lets somebody in by a document of its own, or may once that is known."""
    if not resource.type.startswith("aws:") or _OTHERWISE.match(resource.type):
        return False
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    if not isinstance(seen.value, dict):
        return False
    return next(_documents(resource.type, seen.value), None) is not None


def attached_statements(resource: Resource) -> Iterator[Data]:
    """The statements of all documents with principals; Unknown where one is not known yet."""
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    for document in _documents(resource.type, seen.value):
        yield from statements(document.at())


def _documents(token: str, inputs: Mapping[str, Any]) -> Iterator[Data]:
    for key, value in inputs.items():
        if value is UNKNOWN:
            if _POLICIES.search(token) and _POLICY.search(key):
                yield Data(value, key)
        else:
            yield from _found(value, key)


def _found(node: Any, path: str) -> Iterator[Data]:
    """Every document in nested data, and in texts of JSON."""
    if isinstance(node, str):
        if "Principal" in node:
            yield from _in_text(node, path)
    elif isinstance(node, dict):
        if "Statement" in node:
            listed = node["Statement"]
            each = listed if isinstance(listed, list) else [listed]
            if any(isinstance(s, dict) and s.keys() & {"Principal", "NotPrincipal"} for s in each):
                yield Data(node, path)
            return
        for key, item in node.items():
            yield from _found(item, f"{path}.{key}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _found(item, f"{path}[{index}]")


def _in_text(text: str, path: str) -> Iterator[Data]:
    if '"Statement"' in text and is_meant_for_json(text):
        found = json_of(text)
        broken = Data(UNKNOWN, f"whether {path}, which is no JSON, lets everybody in")
        yield from [broken] if found is None else _found(found, path)
    elif _IN_YAML.search(text):
        yield Data(UNKNOWN, f"whether {path}, which is YAML, lets everybody in")
