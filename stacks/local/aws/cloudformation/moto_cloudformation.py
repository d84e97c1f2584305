"""Stacks of moto's CloudFormation as its API reference has them.

moto 5.2.5 skips types that it does not know with a warning, leaves a stack that failed half made,
and updates alone what stands otherwise in the template.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.cloudformation import (
    attributes,
    change_sets,
    events,
    requests,
    sagemaker_resources,
    service_resources,
    summaries,
    templates,
)
from stacks.local.aws.cloudformation.changes import there
from stacks.local.aws.cloudformation.resource_types import PREFIX
from stacks.local.aws.cloudformation.sagemaker_resources import REPLACED, Refused
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.store import Resource

NO_UPDATES = "No updates are to be performed."
NOT_TO_UPDATE = (change_sets.REVIEW, "CREATE_IN_PROGRESS", "DELETE_COMPLETE", "ROLLBACK_COMPLETE")
"""Statuses of stacks in which UpdateStack is refused."""

_CLOUD: dict[str, Emulator] = {}
"""The emulator of this process, for stacks that come back from a snapshot."""

log = logging.getLogger(__name__)


def know(emulator: Emulator) -> None:
    """Say whose SageMaker makes what comes back, before data are loaded; it loads nothing."""
    _CLOUD["emulator"] = emulator


def install(emulator: Emulator) -> None:
    """Let every stack of this process make its SageMaker resources there."""
    know(emulator)
    resource_classes()


@functools.cache
def resource_classes() -> Mapping[str, type]:
    """The classes of what is made by an API of this cloud, by type."""
    from moto.cloudformation import (
        parsing,
    )  # it loads every service of moto, before ours, which win

    emulator = _CLOUD["emulator"]
    made = {**sagemaker_resources.classes(emulator), **service_resources.classes(emulator)}
    parsing.get_model_list.cache_clear()
    parsing.get_model_map.cache_clear()
    parsing.get_name_type_map.cache_clear()
    _roll_back()
    attributes.install()
    events.install()
    _follow()
    _check()
    change_sets.install()
    requests.install()
    summaries.install()
    return made


def _check() -> None:
    """A template is looked at before anything is made of it."""
    from moto.cloudformation.exceptions import (
        AlreadyExistsException,
        CloudFormationError,
        ValidationError,
    )
    from moto.cloudformation.models import CloudFormationBackend

    create, update = CloudFormationBackend.create_stack, CloudFormationBackend.update_stack

    @functools.wraps(create)
    def created(backend: Any, name: str, template: Any, parameters: Any, **more: Any) -> Any:
        templates.check(backend, template, parameters)
        if any(one.name == name for one in backend.stacks.values()):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        before = set(backend.stacks)
        try:
            return create(backend, name, template, parameters, **more)
        except CloudFormationError:  # what is wrong with the template; there is no stack
            for key in backend.stacks.keys() - before:
                del backend.stacks[key]
            raise

    @functools.wraps(update)
    def updated(backend: Any, **asked: Any) -> Any:
        stack = backend.get_stack(asked["name"])
        if stack.status in NOT_TO_UPDATE:
            told = f"is in {stack.status} state and can not be updated."
            raise ValidationError(message=f"Stack:{stack.stack_id} {told}")
        templates.parsed(asked["template"])
        is_same = stack.template == asked["template"] and not asked.get("parameters")
        if is_same and asked.get("tags") in (None, stack.tags):
            raise ValidationError(message=NO_UPDATES)
        given = backend._resolve_update_parameters(stack, asked.get("parameters") or [])
        template = templates.check(backend, asked["template"], given)
        templates.check_kinds(stack, asked["template"])
        change_sets.changes_of(backend, stack, template, given)
        return update(backend, **asked)

    CloudFormationBackend._resolve_update_parameters = _resolved
    CloudFormationBackend.create_stack, CloudFormationBackend.update_stack = created, updated


def _resolved(backend: Any, instance: Any, incoming_params: Any) -> dict[str, Any]:
    """Values that are given, or as they were where that is asked for."""
    before = templates.previous(instance) if hasattr(instance, "template_dict") else {}
    before = before or dict(instance.parameters)
    return {
        one["ParameterKey"]: before[one["ParameterKey"]]
        if one.get("UsePreviousValue") and one["ParameterKey"] in before
        else one.get("ParameterValue", "")
        for one in incoming_params
    }


def _follow() -> None:
    """What refers to a resource that an update replaced is updated as well, and what a condition
    now leaves out goes (UpdateStack, API reference)."""
    from moto.cloudformation import parsing
    from moto.cloudformation.parsing import ResourceMap

    update, change = ResourceMap.update, parsing.parse_and_update_resource

    @functools.wraps(change)
    def changed(name: str, told: Any, resources: Any, *given: Any, **named: Any) -> Any:
        """A resource that a condition left out until now is made."""
        held = resources._parsed_resources.get(name)
        if name not in there(resources):
            return held  # it goes below
        if held is None:
            return parsing.parse_and_create_resource(name, told, resources, *given, **named)
        return change(name, told, resources, *given, **named)

    @functools.wraps(update)
    def updated(resources: Any, *given: Any, **named: Any) -> None:
        replaced: list[tuple[Any, Resource]] = []
        token = REPLACED.set(replaced)
        try:
            update(resources, *given, **named)
            _meet_conditions(resources)
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

    ResourceMap.update, parsing.parse_and_update_resource = updated, changed


def _meet_conditions(resources: Any) -> None:
    """Make what a condition now lets in, and delete what one leaves out."""
    wanted = there(resources)
    for name, told in resources._resource_json_map.items():
        held = resources._parsed_resources.get(name)
        if held is None:
            resources._parsed_resources.pop(name, None)
        if name in wanted and held is None:
            _ = resources[name]  # looked up, it is made
        elif name not in wanted and held is not None:
            resources._delete_resource(resources._parsed_resources.pop(name), told)


def _caught_up(resources: Any) -> bool:
    """Bring what is ours where the template now leads; whether anything changed."""
    from moto.cloudformation.parsing import parse_and_update_resource

    changed = False
    for name, told in list(resources._resource_json_map.items()):
        one = resources._parsed_resources.get(name)
        if one is None or not told["Type"].startswith(PREFIX):
            continue  # not made, or moto's
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
    Stack.update = _updating(Stack.update)


def look(emulator: Emulator) -> None:
    """One round: a stack is complete once all that it made is ready, such as an endpoint.

    moto asks again for custom resources alone. A stack that is just being made is left alone: who
    looks a resource of it up makes it.
    """
    for stack in list(moto_backend("cloudformation", emulator).stacks.values()):
        if stack.status == "CREATE_IN_PROGRESS" and getattr(stack, "is_made", False):
            stack.verify_readiness()


def _rolling_back(act: Any) -> Any:
    from moto.cloudformation.exceptions import CloudFormationError

    @functools.wraps(act)
    def acts(stack: Any) -> None:
        if not hasattr(stack, "on_failure"):
            stack.on_failure = requests.ON_FAILURE.get()
        try:
            act(stack)
            stack.is_made = True
            _ = stack.outputs  # an attribute in them may be one that nobody has
            if stack.status == "CREATE_COMPLETE":
                events.settle(stack, events.DONE)
        except _refusals() as error:
            if isinstance(error, CloudFormationError):
                raise
            _failed(stack, events.reason(error))

    return acts


def _failed(stack: Any, why: str) -> None:
    """Leave, delete or roll back a stack that cannot be made, as its request has it."""
    events.settle(stack, events.FAILED, why)
    if stack.on_failure == "DO_NOTHING":
        made = stack.resource_map._parsed_resources.keys()
        held = stack.resource_map._resource_json_map
        stack.resource_map._resource_json_map = {name: held[name] for name in held if name in made}
        stack.output_map._output_json_map = {}
        stack.status = "CREATE_FAILED"
        stack._add_stack_event("CREATE_FAILED", resource_status_reason=why)
        return
    verb = "DELETE" if stack.on_failure == "DELETE" else "ROLLBACK"
    stack._add_stack_event(f"{verb}_IN_PROGRESS", resource_status_reason=why)
    stack.resource_map.delete()
    stack.resource_map._resource_json_map = {}  # looked up, it would be made again
    stack.output_map._output_json_map = {}
    stack.status = f"{verb}_COMPLETE"
    stack._add_stack_event(f"{verb}_COMPLETE", resource_status_reason=why)
    if verb == "DELETE":
        backend = moto_backend("cloudformation", _CLOUD["emulator"])
        backend.deleted_stacks[stack.stack_id] = backend.stacks.pop(stack.stack_id)


def _refusals() -> tuple[type[Exception], ...]:
    """What is raised where a resource cannot be made, by ours and by moto's services."""
    from moto.core.exceptions import ServiceException
    from werkzeug.exceptions import HTTPException

    return Refused, ServiceException, HTTPException


def _updating(act: Any) -> Any:
    """An update that is refused goes back to what the stack was (UpdateStack: DisableRollback)."""

    @functools.wraps(act)
    def acts(stack: Any, template: Any, role_arn: Any = None, **more: Any) -> None:
        before, parameters = stack.template, dict(stack.parameters)
        try:
            act(stack, template, role_arn, **more)
            _ = stack.outputs
        except _refusals() as error:
            why = events.reason(error)
            stack._add_stack_event("UPDATE_ROLLBACK_IN_PROGRESS", resource_status_reason=why)
            stack.template, stack.parameters = before, parameters
            stack._parse_template()
            stack.resource_map.update(stack.template_dict, parameters)
            stack.output_map = stack._create_output_map()
            stack.status = "UPDATE_ROLLBACK_COMPLETE"
            stack._add_stack_event("UPDATE_ROLLBACK_COMPLETE", resource_status_reason=why)

    return acts
