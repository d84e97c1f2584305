"""SageMaker's resource types in moto's CloudFormation: they are made by our SageMaker.

moto 5.2.5 keeps five of them in a SageMaker of its own, which nobody asks here. What is the name of
a type, what of it cannot be updated and what `Ref` says is in its resource schema
(primaryIdentifier, createOnlyProperties; CloudFormation CLI user guide, "Resource type schema").
"""

import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from stacks.local.aws.cloudformation.resource_types import PREFIX, schema, told
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.lifecycles import is_deleted
from stacks.local.aws.sagemaker.resource_type import ResourceType
from stacks.local.aws.sagemaker.shapes import input_members, operation_names, service
from stacks.local.aws.store import Resource

DELETE_SECONDS = 60
POLL_SECONDS = 0.05
NAME_LENGTH = 63
SUFFIX_LENGTH = 12
"""Letters at the end of a name that CloudFormation makes."""

DEFINITION = "PipelineDefinition"
FAILED = ("Failed", "CREATE_FAILED", "CreateFailed")
UNDER_WAY = ("Creating", "Updating", "Pending", "CreateInProgress", "UpdateInProgress")

Properties = Mapping[str, Any]

REPLACED: ContextVar[list[tuple[Any, Resource]]] = ContextVar("REPLACED")
"""Of the update under way: model and resource of what it replaced, which goes once all others are
changed, and stays where one of them cannot be."""


class Refused(Exception):
    """A resource cannot be made; the text is the reason of the stack's failure."""


def classes(emulator: Emulator) -> dict[str, type]:
    """A class of moto's kind for every type that has a Create operation, by its name."""
    from moto.core.common_models import CloudFormationModel

    from stacks.local.aws.sagemaker.resource_types import RESOURCE_TYPES

    kinds = {kind.create: kind for kind in RESOURCE_TYPES}
    found = {}
    for operation in sorted(operation_names()):
        stem = operation.removeprefix("Create")
        if stem != operation:
            made = _Made(emulator=emulator, stem=stem, kind=kinds.get(operation))
            members = {"__module__": __name__, **made.methods()}  # by which it is kept
            found[made.type] = type("StackResource", (CloudFormationModel,), members)
    return found


class _Made:
    """The model of one type, as moto's parser wants it."""

    def __init__(self, *, emulator: Emulator, stem: str, kind: ResourceType | None) -> None:
        self.emulator, self.stem, self.kind = emulator, stem, kind
        self.type = f"{PREFIX}{stem}"

    def methods(self) -> dict[str, Any]:
        """Members of the class; moto calls those of a class without an instance."""
        name = self.kind.name_field if self.kind else ""
        return {
            "cloudformation_type": staticmethod(lambda: self.type),
            "cloudformation_name_type": staticmethod(lambda: name),
            "has_cfn_attr": staticmethod(lambda attribute: True),
            "create_from_cloudformation_json": classmethod(self._create),
            "update_from_cloudformation_json": classmethod(self._update),
            "physical_resource_id": property(lambda one: self.reference(one.item)),
            "get_cfn_attribute": lambda one, attribute: self.attribute(one.item, attribute),
            "is_created": lambda one: self.is_ready(one.item),
            "delete": lambda one, *_: self.delete(one.item),
        }

    def _create(self, cls: Any, /, name: str, resource: Properties, *_: str, **__: Any) -> Any:
        made, properties = cls(), resource["Properties"]
        made.item, made.properties = self.create(_short(name), properties), properties
        return made

    def _update(self, cls: Any, /, **asked: Any) -> Any:
        old, resource = asked["original_resource"], asked["cloudformation_json"]
        properties = resource["Properties"]
        changed = {
            name
            for name in {*old.properties, *properties}
            if old.properties.get(name) != properties.get(name)
        }
        if changed & set(told(self.type, "createOnlyProperties")):
            replaced = self._create(cls, asked["new_resource_name"], resource)
            REPLACED.get().append((self, old.item))
            return replaced
        self.update(old.item, {name: properties[name] for name in changed if name in properties})
        old.properties = properties
        return old

    def create(self, name: str, properties: Properties) -> Resource:
        """What one create call makes of the properties."""
        operation = f"Create{self.stem}"
        request = self._request(operation, properties)
        named = schema(self.type)["properties"].keys() & input_members(operation).keys()
        versioned = "ModelPackageGroupName" in request and self.stem == "ModelPackage"
        if self.kind and self.kind.name_field in named and not versioned:  # nor a domain's id
            request.setdefault(self.kind.name_field, name)
        answer = self._call(operation, request)
        arn = next(value for member, value in answer.items() if member.endswith("Arn"))
        item = self.emulator.store.by_arn(arn)
        assert item is not None
        self._arrived(item)
        return item

    def _arrived(self, item: Resource) -> None:
        """What depends on it is made when it is there: moto makes one after the other."""
        from stacks.local.aws.sagemaker import api

        while item.becomes is not None:
            time.sleep(POLL_SECONDS)
            api.settle(self.emulator)

    def update(self, item: Resource, changed: Properties) -> None:
        """Change it in place; a notebook instance is stopped meanwhile."""
        assert self.kind
        operation = self.kind.update
        if not operation or not changed:
            return
        with_key = {**self._key(item, self.kind.update_key), **self._request(operation, changed)}
        self._stopped(item)
        self._call(operation, with_key)
        self._arrived(item)
        self._started(item)

    def delete(self, item: Resource) -> None:
        """Delete it and wait until it is gone."""
        if self.emulator.store.by_arn(item.arn) is not item or not self.kind:
            return
        self._stopped(item)
        if self.kind.delete:
            self._call(self.kind.delete, self._key(item))
        deadline = time.monotonic() + DELETE_SECONDS
        while self._is_there(item) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _is_there(self, item: Resource) -> bool:
        """Whether it is there, and not only shown as deleted."""
        return self.emulator.store.by_arn(item.arn) is item and not is_deleted(item)

    def reference(self, item: Resource) -> str:
        """What `Ref` says: its primary identifier."""
        names = told(self.type, "primaryIdentifier")
        return "|".join(str(self.attribute(item, name)) for name in names)

    def attribute(self, item: Resource, name: str) -> Any:
        """A member of it, by the name that its schema shares with the API."""
        if name not in item.fields:
            from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

            raise UnformattedGetAttTemplateException
        return item.fields[name]

    def is_ready(self, item: Resource) -> bool:
        """Whether it is made; Refused where it failed meanwhile."""
        status = item.fields.get(self.kind.status_field, "") if self.kind else ""
        if status in FAILED:
            raise Refused(f"{item.arn} failed: {item.fields.get('FailureReason', '')}")
        return status not in UNDER_WAY and item.becomes is None

    def _call(self, operation: str, request: Properties) -> Mapping[str, Any]:
        from stacks.local.aws.sagemaker import api

        tokens = service().operation_model(operation).idempotent_members
        try:
            return api.call(
                self.emulator, operation, {**{name: str(uuid4()) for name in tokens}, **request}
            )
        except ApiError as error:
            raise Refused(f"{self.type}: {error.code}: {error.message}") from error

    def _key(self, item: Resource, member: str = "") -> dict[str, Any]:
        assert self.kind
        names = (member,) if member else self.kind.keys or (self.kind.key,)
        # a version of a package has no name but its ARN
        return {name: item.fields.get(name, item.arn) for name in names}

    def _request(self, operation: str, properties: Properties) -> dict[str, Any]:
        """Properties as members of the operation; Refused where it has none for one."""
        given = {name: value for name, value in properties.items() if name != DEFINITION}
        given |= _definition(properties)
        members = input_members(operation)
        others = (f"Create{self.stem}", f"Update{self.stem}")
        elsewhere = {name for other in others for name in _members_of(other)}
        if lost := sorted(given.keys() - elsewhere):
            raise Refused(f"{self.type}: {lost} is not emulated by the local cloud")
        return {name: typed(given[name], members[name]) for name in given if name in members}

    def _stopped(self, item: Resource) -> None:
        if item.fields.get("NotebookInstanceStatus") == "InService":
            self._call("StopNotebookInstance", self._key(item))
            self._arrived(item)

    def _started(self, item: Resource) -> None:
        if item.fields.get("NotebookInstanceStatus") == "Stopped":
            self._call("StartNotebookInstance", self._key(item))
            self._arrived(item)


def _members_of(operation: str) -> Mapping[str, Any]:
    return input_members(operation) if operation in operation_names() else {}


def _definition(properties: Properties) -> dict[str, Any]:
    """A pipeline's definition, which the API takes apart: its text, or where it lies in S3."""
    given = properties.get(DEFINITION)
    if not isinstance(given, Mapping):
        return {}
    if "PipelineDefinitionBody" in given:
        return {DEFINITION: given["PipelineDefinitionBody"]}
    place = given["PipelineDefinitionS3Location"]
    version = {"VersionId": place["Version"]} if "Version" in place else {}
    location = {"Bucket": place["Bucket"], "ObjectKey": place["Key"], **version}
    return {"PipelineDefinitionS3Location": location}


def typed(value: Any, shape: Any) -> Any:
    """A value of a template as the API's shape has it: templates may write numbers as text."""
    if isinstance(value, Mapping):
        inner = getattr(shape, "members", {})
        inner = inner or dict.fromkeys(value, getattr(shape, "value", shape))
        return {
            name: typed(own, inner[name]) if name in inner else own for name, own in value.items()
        }
    if isinstance(value, list):
        return [typed(own, getattr(shape, "member", shape)) for own in value]
    of = SCALARS.get(shape.type_name)
    return value if of is None or isinstance(value, bool) else of(value)


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "boolean": _flag,
    "double": float,
    "float": float,
    "integer": int,
    "long": int,
    "string": str,
}
"""Type of a shape -> how a template's value becomes one."""


def _short(name: str) -> str:
    """A name of the stack's as SageMaker takes one; what makes it unique is kept."""
    plain = re.sub("[^A-Za-z0-9]+", "-", name).strip("-")
    if len(plain) <= NAME_LENGTH:
        return plain
    return f"{plain[: NAME_LENGTH - SUFFIX_LENGTH - 1].strip('-')}-{plain[-SUFFIX_LENGTH:]}"
