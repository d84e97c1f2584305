"""Statuses through which AWS brings what no process of this machine stands for, by the clock.

A domain is Pending before it is InService, and Deleting before it is gone (DescribeDomain and its
like, API reference). What AWS takes minutes for is over in two seconds here, in the same order.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import ResourceType
from stacks.local.aws.sagemaker.shapes import in_use_code, now
from stacks.local.aws.store import Resource

PASSING = timedelta(seconds=2)
"""How long a status lasts that leads to the next: longer than a round, so that its event is told,
and no minutes."""

REMEMBERED = timedelta(hours=24)
"""How long a deleted app is shown (DescribeApp, API reference, CreationTime). Of projects, whose
DeleteCompleted is shown as well, the documentation says no time."""

DELETED = frozenset({"Deleted", "DeleteCompleted"})
"""Statuses of what is shown after it was deleted."""


def begin(item: Resource, through: dict[str, Any], then: dict[str, Any]) -> None:
    """Show some members now and others once the time is over; no others: it is gone then."""
    item.set(**through)
    item.becomes, item.becomes_at = then, now() + PASSING


def created(kind: ResourceType, item: Resource) -> None:
    """The way of a new one. `on_create` may have said what it becomes otherwise."""
    life = kind.lifecycle
    if life and life.creating:
        then = {kind.status_field: life.ready, **(item.becomes or {})}
        begin(item, {kind.status_field: life.creating}, then)


def updated(kind: ResourceType, item: Resource) -> None:
    """The way of a changed one."""
    life = kind.lifecycle
    if life and life.updating:
        then = {kind.status_field: life.updated or life.ready}
        begin(item, {kind.status_field: life.updating}, then)


def deleted(kind: ResourceType, item: Resource) -> bool:
    """Start the way of one that is to be deleted; False: it has none and is gone at once."""
    life = kind.lifecycle
    if not (life and life.deleting):
        return False
    then = {kind.status_field: life.deleted} if life.deleted else {}
    begin(item, {kind.status_field: life.deleting}, then)
    return True


def settle(emulator: Emulator, kinds: Iterable[str], at: datetime | None = None) -> None:
    """Bring everything where it is at a time. Default: now."""
    moment = at or now()
    for kind in kinds:
        for item in emulator.store.all(kind):
            if item.becomes is not None and item.becomes_at and item.becomes_at <= moment:
                with emulator.store.lock:
                    _arrive(emulator, item)


def _arrive(emulator: Emulator, item: Resource) -> None:
    then, when = item.becomes, item.becomes_at
    item.becomes = item.becomes_at = None
    if then is None or when is None:  # another thread was faster
        return
    if not then:
        emulator.store.remove(item)
        return
    item.set(**then)
    if DELETED & {value for value in then.values() if isinstance(value, str)}:
        remember(item)


def remember(item: Resource) -> None:
    """Show a deleted one for a while yet."""
    item.becomes, item.becomes_at = {}, now() + REMEMBERED


def is_deleted(item: Resource) -> bool:
    """Whether it is only shown, because it was there until recently."""
    return item.becomes == {} and any(item.fields.get(of) in DELETED for of in STATUS_FIELDS)


STATUS_FIELDS = ("Status", "ProjectStatus")
"""Members that say of an app and of a project that it was deleted."""


def check_free(kind: ResourceType, item: Resource, operation: str) -> None:
    """Refuse to change or delete what is on its way, or was deleted."""
    life = kind.lifecycle
    if life is None:
        return
    status = item.fields.get(kind.status_field)
    if is_deleted(item):
        raise kind.missing.error(name=item.name.rpartition("/")[2], arn=item.arn)
    if item.becomes is not None:
        told = f"Unable to perform {operation} on [{item.arn}]: it is in state {status}."
        raise ApiError(in_use_code(operation), told)


def check_there(kind: ResourceType, item: Resource) -> None:
    """Refuse to put something into what is not made yet, failed or goes away."""
    life = kind.lifecycle
    if life is None:
        return
    good = {life.ready, life.updating, life.updated}
    if item.fields.get(kind.status_field) not in good:
        what = kind.create.removeprefix("Create")
        raise invalid(f"{what} {item.name.rpartition('/')[2]} is in an invalid state.")
