"""What happens to each resource of a stack, as DescribeStackEvents lists it.

moto 5.2.5 tells of whole stacks alone. A resource that nobody may make is refused here, too: its
properties are held against its schema.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from stacks.local.aws.cloudformation.properties import problems
from stacks.local.aws.cloudformation.resource_types import NOTHING
from stacks.local.aws.cloudformation.sagemaker_resources import Refused

UNDER_WAY, DONE, FAILED = "IN_PROGRESS", "COMPLETE", "FAILED"
KEPT = "DELETE_SKIPPED"

_DELETED: ContextVar[Any] = ContextVar("_DELETED", default=None)
"""The stack that is just being deleted: moto lists it no longer."""


def install() -> None:
    """For every stack of this process."""
    from moto.cloudformation import parsing
    from moto.cloudformation.models import Stack
    from moto.cloudformation.parsing import ResourceMap

    parsing.parse_resource_and_generate_name = _checking(parsing.parse_resource_and_generate_name)
    parsing.parse_and_create_resource = _creating(parsing.parse_and_create_resource)
    parsing.parse_and_update_resource = _updating(parsing.parse_and_update_resource)
    ResourceMap._delete_resource = _deleting(ResourceMap._delete_resource)
    Stack.delete = _deleting_all(Stack.delete)


def _checking(act: Any) -> Any:
    @functools.wraps(act)
    def checked(name: str, told: Any, resources: Any) -> Any:
        found = act(name, told, resources)
        if found and (wrong := problems(told["Type"], found[1].get("Properties") or {})):
            said = "\n".join(wrong)
            raise Refused(f"Properties validation failed for resource {name} with message: {said}")
        return found

    return checked


def _creating(act: Any) -> Any:
    @functools.wraps(act)
    def created(name: str, told: Any, resources: Any, *more: Any, **named: Any) -> Any:
        condition = told.get("Condition")
        if condition and not resources.lazy_condition_map[condition]:
            return None
        tell = functools.partial(_add, resources, name, told)
        tell(f"CREATE_{UNDER_WAY}")
        try:
            made = act(name, told, resources, *more, **named)
            is_ready = made is None or made.is_created()
        except Exception as error:
            tell(f"CREATE_{FAILED}", reason=reason(error))
            raise
        if is_ready:
            tell(f"CREATE_{DONE}", made=made)
        return made

    return created


def _updating(act: Any) -> Any:
    """Told once it is over: whether anything of it changes is known then."""

    @functools.wraps(act)
    def updated(name: str, told: Any, resources: Any, *more: Any, **named: Any) -> Any:
        held = resources._parsed_resources.get(name)
        before = _state(held)
        tell = functools.partial(_add, resources, name, told)
        try:
            made = act(name, told, resources, *more, **named)
        except Exception as error:
            tell(f"UPDATE_{UNDER_WAY}", made=held)
            tell(f"UPDATE_{FAILED}", made=held, reason=reason(error))
            raise
        if before is None or _state(made) != before:
            tell(f"UPDATE_{UNDER_WAY}", made=held)
            tell(f"UPDATE_{DONE}", made=made)
        return made

    return updated


def _state(made: Any) -> Any:
    """What a resource of SageMaker is, by which it is known whether an update changed it."""
    return (made.item, made.properties) if hasattr(made, "item") else None


def _deleting(act: Any) -> Any:
    @functools.wraps(act)
    def deleted(resources: Any, made: Any, told: Any) -> None:
        name = getattr(made, "logical_resource_id", None) or ""
        tell = functools.partial(_add, resources, name, told, made=made)
        tell(f"DELETE_{UNDER_WAY}")
        try:
            act(resources, made, told)
        except Exception as error:
            tell(f"DELETE_{FAILED}", reason=reason(error))
            raise
        tell(f"DELETE_{DONE}")

    return deleted


def _deleting_all(act: Any) -> Any:
    @functools.wraps(act)
    def deleted(stack: Any) -> None:
        token = _DELETED.set(stack)
        try:
            resources = stack.resource_map
            for name, told in resources._resource_json_map.items():
                made = resources._parsed_resources.get(name)
                if told.get("DeletionPolicy") == "Retain" and made is not None:
                    _add(resources, name, told, KEPT, made=made)
            act(stack)
        finally:
            _DELETED.reset(token)

    return deleted


def settle(stack: Any, end: str, reason: str | None = None) -> None:
    """Tell how what was not ready when it was made ended: COMPLETE, or FAILED with a reason."""
    resources = stack.resource_map
    last = {event.logical_resource_id: event.resource_status for event in stack.events}
    for name, told in resources._resource_json_map.items():
        if last.get(name) == f"CREATE_{UNDER_WAY}":
            made = resources._parsed_resources.get(name)
            _add(resources, name, told, f"CREATE_{end}", reason=reason, made=made)


def reason(error: Exception) -> str:
    """Why a resource is refused, by ours and by moto's services."""
    return str(getattr(error, "message", None) or error)


def _add(
    resources: Any,
    name: str,
    told: Mapping[str, Any],
    status: str,
    *,
    reason: str | None = None,
    made: Any = None,
) -> None:
    """Add an event to those of the stack; what moto tries again, as it depends on others, is told
    once."""
    from moto.cloudformation.models import Event

    stack = _DELETED.get() or _stack(resources)
    if stack is None or told["Type"] in NOTHING:
        return
    own = (at for at, one in enumerate(stack.events) if one.resource_type == STACK)
    since = stack.events[max(own, default=0) :]
    if (name, status) in ((one.logical_resource_id, one.resource_status) for one in since):
        return
    event = Event(
        stack_id=stack.stack_id, stack_name=stack.name, logical_resource_id=name,
        physical_resource_id=getattr(made, "physical_resource_id", None) or "",
        resource_type=told["Type"], resource_status=status, resource_status_reason=reason,
        resource_properties=None,
    )  # fmt: skip
    stack.events.append(event)


STACK = "AWS::CloudFormation::Stack"


def _stack(resources: Any) -> Any:
    from moto.cloudformation.models import cloudformation_backends

    backend = cloudformation_backends[resources._account_id][resources._region_name]
    return backend.stacks.get(resources.stack_id)
