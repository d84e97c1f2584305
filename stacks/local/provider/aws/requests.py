"""Rows turned into boto3 arguments, and describe answers into inputs. Pure; calls nothing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jmespath
from botocore.model import ListShape, MapShape, OperationModel, StructureShape

from stacks.local.provider.aws.diff import believed, same
from stacks.local.provider.aws.row import ALL, Call, Row
from stacks.local.provider.aws.shapes import (
    Rename,
    Slot,
    from_aws,
    operation_model,
    plain,
    slots,
    to_aws,
    unmapped,
)
from stacks.local.provider.backend import Properties

TEMPLATE = re.compile(r"\{\w+\}")
GLOBAL = frozenset({"budgets", "ce", "iam"})
"""Services without regions, whose types have no input of that name."""

EVERY_TYPE = ("region", "tags")

AWS_ONLY = frozenset(
    {
        "checksumAlgorithm",
        "clientRequestToken",
        "clientToken",
        "contentMd5",
        "dryRun",
        "expectedBucketOwner",
        "registryId",
        "tagSpecifications",
    }
)
"""Members of create calls that no Pulumi input stands for."""


def fill(template: Any, known: Mapping[str, Any]) -> Any:
    """A template with its `{names}` filled in."""
    if isinstance(template, str):
        return template.format_map(known) if "{" in template else template
    if isinstance(template, Mapping):
        return {key: fill(value, known) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [fill(value, known) for value in template]
    return template


def pairs_or_map(tags: Mapping[str, str], shape: Any) -> Any:
    """Tags as an operation wants them: a list of pairs or a map."""
    return to_aws(dict(tags), shape, ())


@dataclass(frozen=True)
class RowMapper:
    """A row with what follows from it and botocore's shapes."""

    row: Row

    def operation(self, call: Call) -> OperationModel:
        """botocore's model of a call."""
        return operation_model(self.row.service, call.operation)

    def rename(self, call: Call) -> Rename:
        """The renames that hold inside the inputs of a call."""
        every = {**self.row.rename, **call.rename}
        return tuple((name, target) for name, target in every.items() if name[0] != "/")

    def slots(self, call: Call) -> dict[str, Slot]:
        """The members of a call's input by Pulumi name."""
        shape = self.operation(call).input_shape
        if not isinstance(shape, StructureShape):
            return {}
        every = {**self.row.rename, **call.rename}
        rename = tuple((name.removeprefix("/"), target) for name, target in every.items())
        known = slots(shape, rename, self.row.body)
        return {
            name: slot
            for name, slot in known.items()
            if not (name in AWS_ONLY and len(slot.path) == 1)
        }

    @cached_property
    def later(self) -> frozenset[str]:
        """Inputs that the create call does not carry although it may have a member."""
        calls = [*self.row.then, *([self.row.delete] if self.row.delete else [])]
        taken = {name for call in calls for name in call.takes}
        omitted = self.row.create.omits
        return frozenset(
            {*taken, *omitted, *self.row.provider_only, *self.row.refuses, *EVERY_TYPE}
        )

    @cached_property
    def accepted(self) -> dict[str, tuple[Call, Slot] | None]:
        """Every input by the call and member that carries it; None: no member of its own."""
        row = self.row
        found: dict[str, tuple[Call, Slot] | None] = dict.fromkeys(row.provider_only)
        found.update({"region": None} if row.service not in GLOBAL else {})
        found.update({"tags": None} if row.tags else {})
        for call in [*row.then, *row.update, *([row.delete] if row.delete else [])]:
            known = self.slots(call)
            for name in () if tuple(call.takes) == ALL else call.takes:
                found.setdefault(name, (call, known[name]) if name in known else None)
        for name, slot in self.slots(row.create).items():
            if name not in self.later and (not row.create.takes or name in row.create.takes):
                found[name] = (row.create, slot)
        return {name: place for name, place in found.items() if name not in row.refuses}

    def refused(self, inputs: Properties) -> Iterator[str]:
        """Paths of inputs that would be ignored."""
        for name, value in inputs.items():
            if name.startswith("__"):
                continue
            if name not in self.accepted:
                yield name
                continue
            place = self.accepted[name]
            if place is not None:
                call, slot = place
                inner = (
                    value[0] if slot.pulumi_list and isinstance(value, list) and value else value
                )
                yield from unmapped(inner, slot.shape, self.rename(call), name)

    def _created(self, name: str) -> bool:
        place = self.accepted.get(name)
        return place is not None and place[0] is self.row.create

    def create(self, inputs: Properties, known: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of the create call."""
        row = self.row
        sent = {name: value for name, value in inputs.items() if self._created(name)}
        arguments = self._arguments(row.create, sent)
        arguments.update(fill({**row.create.fixed, **(row.create.key or {})}, known))
        tags = inputs.get("tags")
        if row.tags and row.tags.create and tags:
            if row.tags.resource_type:
                pairs = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
                specification = {"ResourceType": row.tags.resource_type, "Tags": pairs}
                arguments["TagSpecifications"] = [specification]
            else:
                shape = self.operation(row.create).input_shape.members[row.tags.create]
                arguments[row.tags.create] = pairs_or_map(tags, shape)
        return arguments

    def arguments(
        self, call: Call, inputs: Properties, known: Mapping[str, Any], reset: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Arguments of any other call; `reset` names inputs that are absent now."""
        row, accepted = self.row, self.slots(call)
        names = set(self.accepted) if tuple(call.takes) == ALL else call.takes
        left_out = {*EVERY_TYPE, *call.omits}
        sent = {name: inputs[name] for name in names if name in inputs and name not in left_out}
        if tuple(call.takes) != ALL:
            for name in set(reset) & set(call.takes) & set(accepted):
                sent[name] = row.defaults.get(name, _empty(accepted[name]))
        key = row.key if call.key is None else call.key
        if not key and call.key is None:
            sent.update({n: known[n] for n in row.identity.inputs if n in accepted})
        arguments = self._arguments(call, sent)
        arguments.update(fill({**key, **call.fixed}, known))
        return arguments

    def _arguments(self, call: Call, sent: Properties) -> dict[str, Any]:
        structure: dict[str, Any] = {}
        rename, known = self.rename(call), self.slots(call)
        for name, value in sent.items():
            slot = known.get(name)
            if slot is None or value is None:
                continue
            inner = value[0] if slot.pulumi_list and value else value
            if not (slot.pulumi_list and not value):
                slot.put(structure, to_aws(inner, slot.shape, rename))
        return structure

    def observed(self, answer: Mapping[str, Any], known: Mapping[str, Any]) -> Properties:
        """Every input that the id and a describe answer tell."""
        row = self.row
        told = [name for name in row.identity.inputs if name in self.accepted]
        found: Properties = {name: known[name] for name in told}
        for name, place in self.accepted.items():
            if name in row.write_only or name in found:
                continue
            if place is None:
                found[name] = self._read(name, answer, known)
                continue
            call, slot = place
            value = self._read(name, answer, known) if name in row.reads else slot.get(answer)
            if value is not None:
                converted = from_aws(value, slot.shape, self.rename(call))
                found[name] = [converted] if slot.pulumi_list else converted
        if row.tags:
            tags = jmespath.search(row.tags.path, answer)
            found["tags"] = _tags(tags)
        return {name: value for name, value in found.items() if value not in (None, [], {}, "")}

    def _read(self, name: str, answer: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
        path = self.row.reads.get(name, "")
        return (
            fill(path, known) if TEMPLATE.search(path) else path and jmespath.search(path, answer)
        )

    def imported(self, answer: Mapping[str, Any], known: Mapping[str, Any]) -> Properties:
        """The inputs of a program that would make this resource: observed, less the defaults."""
        defaults = self.row.defaults
        return {
            name: _without_defaults(value, name, defaults)
            for name, value in self.observed(answer, known).items()
            if not (name in defaults and same(value, defaults[name]))
        }

    def refreshed(
        self, answer: Mapping[str, Any], inputs: Properties, known: Mapping[str, Any]
    ) -> Properties:
        """The inputs as state has them, corrected where the cloud says otherwise."""
        observed = self.observed(answer, known)
        unread = {*self.row.write_only, *self.row.provider_only}
        found: Properties = {}
        for name, wanted in inputs.items():
            place = self.accepted.get(name)
            if name in unread or (place is None and name not in ("tags", *self.row.reads)):
                found[name] = wanted
                continue
            now = observed.get(name)
            silent = now is None and (wanted == "" or wanted == self.row.defaults.get(name))
            value = wanted if silent else believed(wanted, now, self.row.keyed.get(name, ""))
            if value is not None:
                found[name] = value
        if observed.get("tags") and not inputs.get("tags"):
            found["tags"] = observed["tags"]
        return found


def _without_defaults(value: Any, path: str, defaults: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_defaults(item, f"{path}.{key}", defaults)
            for key, item in value.items()
            if not same(item, defaults.get(f"{path}.{key}"))
        }
    if isinstance(value, list):
        return [_without_defaults(item, path, defaults) for item in value]
    return value


def _tags(tags: Any) -> dict[str, str]:
    if isinstance(tags, list):
        return {
            tag.get("Key") or tag.get("TagKey"): tag.get("Value") or tag.get("TagValue") or ""
            for tag in tags
        }
    return dict(tags or {})


def _empty(slot: Slot) -> Any:
    if isinstance(slot.shape, ListShape):
        return []
    if isinstance(slot.shape, MapShape):
        return {}
    return "" if slot.shape.type_name == "string" else None


def outputs(
    row: Row, answer: Mapping[str, Any], inputs: Properties, known: Mapping[str, Any]
) -> Properties:
    """What the engine keeps: computed outputs, then the inputs."""
    computed = {
        name: fill(path, known) if TEMPLATE.search(path) else plain(jmespath.search(path, answer))
        for name, path in row.outputs.items()
    }
    found = {name: value for name, value in computed.items() if value is not None}
    if row.tags:
        found["tagsAll"] = dict(inputs.get("tags") or {})
    if row.service not in GLOBAL:
        found["region"] = known["region"]
    return {**found, **inputs}
