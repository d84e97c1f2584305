"""Pulumi values to AWS values and back, guided by botocore's shapes."""

import base64
import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from stacks.local.provider.backend import UNKNOWN

PAIR = 2  # members of a structure that is a key and a value
KEYS = frozenset({"Key", "key", "Name", "name", "TagKey"})
VALUES = frozenset({"Value", "value", "TagValue"})
NO_MAPS = frozenset(
    {
        "MetricDimensions",  # of Application Auto Scaling
        "PredictiveScalingMetricDimensions",
        "SageMakerPipelineParameterList",
        "TargetTrackingMetricDimensions",
    }
)
"""Lists of pairs that pulumi_aws keeps as lists."""

Rename = tuple[tuple[str, str], ...]
"""A row's renames in a form that can be a cache key."""


@lru_cache
def service_model(service: str) -> ServiceModel:
    """botocore's description of a service."""
    return botocore.session.get_session().get_service_model(service)


@lru_cache
def operation_model(service: str, operation: str) -> OperationModel:
    """botocore's description of an operation."""
    return service_model(service).operation_model(operation)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a Pulumi property lives in an AWS structure."""

    path: tuple[str, ...]
    shape: Shape
    """Of one value: of the list's element if only AWS has a list."""
    pulumi_list: bool = False
    """Pulumi has a list of at most one where AWS has a value."""
    aws_list: bool = False
    """AWS has a list of one where Pulumi has a value."""

    def get(self, structure: Mapping[str, Any]) -> Any:
        """The AWS value in a structure, or None."""
        value: Any = structure
        for member in self.path:
            name = member.removesuffix("[0]")
            value = value.get(name) if isinstance(value, Mapping) else None
            if name != member and isinstance(value, list):
                value = value[0] if value else None
        if self.aws_list:
            return value[0] if value else None
        return value

    def put(self, structure: dict[str, Any], value: Any) -> None:
        """Set the AWS value in a structure."""
        *parents, last = self.path
        for member in parents:
            name = member.removesuffix("[0]")
            if name != member:
                structure = structure.setdefault(name, [{}])[0]
            else:
                structure = structure.setdefault(name, {})
        structure[last] = [value] if self.aws_list else value


def words(member: str) -> list[str]:
    """`SSEKMSKeyId` as its words, digits staying with the letters before them."""
    return re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+", member)


def pulumi_name(member: str, shape: Shape) -> str:
    """What pulumi_aws calls a member: camel case, lists in the plural."""
    first, *rest = words(member) or [member]
    name = first.lower() + "".join(word.capitalize() for word in rest)
    if isinstance(shape, ListShape) and not name.endswith("s"):
        name = name[:-1] + "ies" if name.endswith("y") else name + "s"
    return name


@cache
def slots(shape: StructureShape, rename: Rename, body: str = "") -> dict[str, Slot]:
    """Every member of a structure by its Pulumi name."""
    found: dict[str, Slot] = {}
    claimed = {body.removesuffix("[0]")}
    inner = shape.members.get(body.removesuffix("[0]")) if body else None
    if body.endswith("[0]") and isinstance(inner, ListShape):
        inner = inner.member
    if isinstance(inner, StructureShape):
        for name, slot in slots(inner, rename).items():
            path = (body, *slot.path)
            found[name] = Slot(
                path=path, shape=slot.shape, pulumi_list=slot.pulumi_list, aws_list=slot.aws_list
            )
    for name, target in rename:
        first = target.partition(".")[0].removesuffix("[0]")
        if first in shape.members:
            claimed.add(first)
            found[name.removesuffix("[0]")] = _slot(shape, name, target)
    for member, member_shape in shape.members.items():
        if member not in claimed:
            name = pulumi_name(member, member_shape)
            found.setdefault(name, Slot(path=(member,), shape=member_shape))
    return found


def _slot(shape: StructureShape, name: str, target: str) -> Slot:
    path = tuple(target.removesuffix("[0]").split("."))
    inner: Any = shape
    for member in path:
        inner = inner.value if isinstance(inner, MapShape) else inner.members[member]
    aws_list = target.endswith("[0]")
    return Slot(
        path=path,
        shape=inner.member if aws_list else inner,
        pulumi_list=name.endswith("[0]"),
        aws_list=aws_list,
    )


def pair(shape: Shape) -> tuple[str, str] | None:
    """The names of key and value if a shape is a list of key-value structures."""
    if shape.name in NO_MAPS:
        return None
    if isinstance(shape, ListShape) and isinstance(shape.member, StructureShape):
        members = set(shape.member.members)
        keys, values = members & KEYS, members & VALUES
        if len(members) == PAIR and keys and values:
            return keys.pop(), values.pop()
    return None


def to_aws(value: Any, shape: Shape, rename: Rename) -> Any:
    """A Pulumi value as AWS takes it. Unknown properties are left to `unmapped`."""
    if isinstance(shape, StructureShape):
        if isinstance(value, str):  # given as JSON text in AWS's own words
            return json.loads(value)
        return _structure_to_aws(value, shape, rename)
    if isinstance(shape, ListShape):
        names = pair(shape)
        if names and isinstance(value, Mapping):
            return [{names[0]: key, names[1]: str(item)} for key, item in sorted(value.items())]
        return [to_aws(item, shape.member, rename) for item in value]
    if isinstance(shape, MapShape):
        if isinstance(value, list):  # cost filters: a name and its values each
            value = {item["name"]: item["values"] for item in value}
        return {key: to_aws(item, shape.value, rename) for key, item in value.items()}
    return _scalar_to_aws(value, shape.type_name)


def _structure_to_aws(value: Any, shape: StructureShape, rename: Rename) -> dict[str, Any]:
    known, structure = slots(shape, rename), dict[str, Any]()
    for name, item in value.items():
        slot = known.get(name)
        if slot is None or item is None:
            continue
        if slot.pulumi_list:
            if item:
                slot.put(structure, to_aws(item[0], slot.shape, rename))
        else:
            slot.put(structure, to_aws(item, slot.shape, rename))
    return structure


def _scalar_to_aws(value: Any, kind: str) -> Any:
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "boolean":
        return value in (True, "true")
    if kind == "blob":
        return value.encode() if isinstance(value, str) else value
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value, sort_keys=True)  # a policy given as an object, or true, or 8080
    return value


def from_aws(value: Any, shape: Shape, rename: Rename) -> Any:
    """An AWS value as Pulumi has it. Members the shape does not know are dropped."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return _structure_from_aws(value, shape, rename)
    if isinstance(shape, ListShape) and isinstance(value, list):
        names = pair(shape)
        if names:
            return {item[names[0]]: item.get(names[1], "") for item in value}
        return [from_aws(item, shape.member, rename) for item in value]
    if shape.type_name == "string" and isinstance(value, Mapping):  # boto3 parses IAM's policies
        return json.dumps(value, sort_keys=True)
    return plain(value)


def _structure_from_aws(
    value: Mapping[str, Any], shape: StructureShape, rename: Rename
) -> dict[str, Any]:
    found = {}
    for name, slot in slots(shape, rename).items():
        item = slot.get(value)
        if item is not None:
            converted = from_aws(item, slot.shape, rename)
            found[name] = [converted] if slot.pulumi_list else converted
    return found


def plain(value: Any) -> Any:
    """A value of a boto3 answer as the engine can keep it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def unmapped(value: Any, shape: Shape, rename: Rename, path: str) -> Iterator[str]:
    """Paths of nested properties that have no member in AWS's structure."""
    if value == UNKNOWN:
        return
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        known = slots(shape, rename)
        for name, item in value.items():
            slot = known.get(name)
            if slot is None:
                yield f"{path}.{name}"
            elif slot.pulumi_list and isinstance(item, list) and item:
                yield from unmapped(item[0], slot.shape, rename, f"{path}.{name}[0]")
            else:
                yield from unmapped(item, slot.shape, rename, f"{path}.{name}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from unmapped(item, shape.member, rename, f"{path}[{index}]")
