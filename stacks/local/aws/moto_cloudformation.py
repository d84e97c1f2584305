"""SageMaker's resource types in moto's CloudFormation: they are made by our SageMaker.

moto 5.2.5 keeps five of them in a SageMaker of its own, which nobody asks here, skips the others
with a warning, and leaves a stack that failed half made. What is the name of a type, what of it
cannot be updated and what `Ref` says is in its resource schema (primaryIdentifier,
createOnlyProperties; CloudFormation CLI user guide, "Resource type schema").
"""

import functools
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.lifecycles import is_deleted
from stacks.local.aws.sagemaker.resource_type import ResourceType
from stacks.local.aws.sagemaker.shapes import input_members, operation_names, service
from stacks.local.aws.store import Resource

PREFIX = "AWS::SageMaker::"
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

log = logging.getLogger(__name__)


class Refused(Exception):
    """A resource cannot be made; the text is the reason of the stack's failure."""


def install(emulator: Emulator) -> None:
    """Let every stack of this process make its SageMaker resources there."""
    from moto.cloudformation import parsing  # before ours, which win
    from moto.core.common_models import CloudFormationModel

    from stacks.local.aws.sagemaker.resource_types import RESOURCE_TYPES

    kinds = {kind.create: kind for kind in RESOURCE_TYPES}
    for operation in sorted(operation_names()):
        stem = operation.removeprefix("Create")
        if stem != operation:
            kind = kinds.get(operation)
            made = _Made(emulator=emulator, stem=stem, kind=kind)
            members = made.methods()
            type(f"SageMaker{stem}", (CloudFormationModel,), members)
    parsing.get_model_list.cache_clear()
    parsing.get_model_map.cache_clear()
    parsing.get_name_type_map.cache_clear()
    _roll_back()
    _follow()


def _follow() -> None:
    """What refers to a resource that an update replaced is updated as well, and an update that
    changes nothing is refused (UpdateStack, API reference).

    moto updates alone what stands otherwise in the template.
    """
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.models import CloudFormationBackend
    from moto.cloudformation.parsing import ResourceMap

    update, update_stack = ResourceMap.update, CloudFormationBackend.update_stack
    if hasattr(update, "__wrapped__"):
        return

    @functools.wraps(update)
    def updated(resources: Any, *given: Any, **named: Any) -> None:
        replaced: list[tuple[Any, Resource]] = []
        token = REPLACED.set(replaced)
        try:
            update(resources, *given, **named)
            for _ in resources._resource_json_map:  # as often as they can depend on each other
                if not _caught_up(resources):
                    break
        finally:
            REPLACED.reset(token)
        for made, item in reversed(replaced):
            try:
                made.delete(item)
            except Refused as error:  # CloudFormation leaves it, too
                log.warning("a stack left %s: %s", item.arn, error)

    @functools.wraps(update_stack)
    def stack_updated(backend: Any, **asked: Any) -> Any:
        stack = backend.get_stack(asked["name"])
        is_same = stack.template == asked["template"] and not asked.get("parameters")
        if is_same and asked.get("tags") in (None, stack.tags):
            raise ValidationError(message="No updates are to be performed.")
        return update_stack(backend, **asked)

    ResourceMap.update, CloudFormationBackend.update_stack = updated, stack_updated


def _caught_up(resources: Any) -> bool:
    """Bring what is ours where the template now leads; whether anything changed."""
    from moto.cloudformation.parsing import parse_and_update_resource

    changed = False
    for name, told in list(resources._resource_json_map.items()):
        one = resources._parsed_resources.get(name)
        if one is None or not told["Type"].startswith(PREFIX):
            continue
        before = one.item, one.properties
        one = parse_and_update_resource(
            name, told, resources, resources._account_id, resources._region_name
        )
        resources._parsed_resources[name] = one
        changed |= (one.item, one.properties) != before
    return changed


def _roll_back() -> None:
    """A stack whose resource is refused is rolled back, and says why (CreateStack: OnFailure)."""
    from moto.cloudformation.models import Stack

    for name in ("create_resources", "verify_readiness"):
        setattr(Stack, name, _rolling_back(getattr(Stack, name)))


def look(emulator: Emulator) -> None:
    """One round: a stack is complete once all that it made is ready, such as an endpoint.

    moto asks again for custom resources alone. A stack that is just being made is left alone: who
    looks a resource of it up makes it.
    """
    for stack in list(moto_backend("cloudformation", emulator).stacks.values()):
        if stack.status == "CREATE_IN_PROGRESS" and getattr(stack, "is_made", False):
            stack.verify_readiness()


def _rolling_back(act: Any) -> Any:
    @functools.wraps(act)
    def acts(stack: Any) -> None:
        try:
            act(stack)
            stack.is_made = True
        except Refused as error:
            stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
            stack.resource_map.delete()
            stack.resource_map._resource_json_map = {}  # looked up, it would be made again
            stack.output_map._output_json_map = {}
            stack.status = "ROLLBACK_COMPLETE"
            stack._add_stack_event("ROLLBACK_COMPLETE", resource_status_reason=str(error))

    return acts


@functools.cache
def _schema(stem: str) -> Mapping[str, Any]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS  # takes a second

    found: Mapping[str, Any] = SCHEMAS.get_resource_schema("us-east-1", f"{PREFIX}{stem}").schema
    return found


def _told(stem: str, member: str) -> list[str]:
    """Names of the properties that a member of the schema lists."""
    return [path.split("/")[2] for path in _schema(stem).get(member, ())]


class _Made:
    """The model of one type, as moto's parser wants it."""

    def __init__(self, *, emulator: Emulator, stem: str, kind: ResourceType | None) -> None:
        self.emulator, self.stem, self.kind = emulator, stem, kind

    def methods(self) -> dict[str, Any]:
        """Members of the class; moto calls those of a class without an instance."""
        name = self.kind.name_field if self.kind else ""
        return {
            "cloudformation_type": staticmethod(lambda: f"{PREFIX}{self.stem}"),
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
        if changed & set(_told(self.stem, "createOnlyProperties")):
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
        named = _schema(self.stem)["properties"].keys() & input_members(operation).keys()
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
        names = _told(self.stem, "primaryIdentifier")
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
            raise Refused(f"{PREFIX}{self.stem}: {error.code}: {error.message}") from error

    def _key(self, item: Resource, member: str = "") -> dict[str, Any]:
        assert self.kind
        names = (member,) if member else self.kind.keys or (self.kind.key,)
        # a version of a package has no name but its ARN
        return {name: item.fields.get(name, item.arn) for name in names}

    def _request(self, operation: str, properties: Properties) -> dict[str, Any]:
        """Properties as members of the operation; Refused where it has none for one."""
        known = _schema(self.stem)["properties"]
        if strange := sorted(properties.keys() - known.keys()):
            raise Refused(f"{PREFIX}{self.stem}: extraneous key {strange} is not permitted")
        given = {name: value for name, value in properties.items() if name != DEFINITION}
        given |= _definition(properties)
        members = input_members(operation)
        others = (f"Create{self.stem}", f"Update{self.stem}")
        elsewhere = {name for other in others for name in _members_of(other)}
        if lost := sorted(given.keys() - elsewhere):
            raise Refused(f"{PREFIX}{self.stem}: {lost} is not emulated by the local cloud")
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
