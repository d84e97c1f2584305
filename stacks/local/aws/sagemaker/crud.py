"""Interprets the resource table: one create, describe, list, update and delete for every row."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Request, ResourceType, short_name
from stacks.local.aws.sagemaker.shapes import output_members, summary_member
from stacks.local.aws.store import Resource

NOT_MEMBERS = frozenset({"Tags", "ClientRequestToken", "ClientToken"})
PAGE = 100

LIST_MEMBERS = frozenset(
    {
        "NameContains",
        "PipelineNamePrefix",
        "CreationTimeAfter",
        "CreationTimeBefore",
        "CreatedAfter",
        "CreatedBefore",
        "LastModifiedTimeAfter",
        "LastModifiedTimeBefore",
        "StatusEquals",
        "SortBy",
        "SortOrder",
        "MaxResults",
        "NextToken",
    }
)
"""What every list understands besides the filters of its row."""


def create(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    store = emulator.store
    with store.lock:
        name = kind.identify(emulator, request) if kind.identify else request[kind.name_field]
        arn = emulator.arn(kind.arn.format(name=name))
        if store.find(kind.name, name):
            raise kind.exists.error(name=name, arn=arn)
        fields = {member: value for member, value in request.items() if member not in NOT_MEMBERS}
        item = Resource(kind=kind.name, name=name, arn=arn, fields={**fields, kind.arn_field: arn})
        item.fields.setdefault(kind.name_field, name)
        if kind.on_create:
            kind.on_create(emulator, item, request)
        store.add(item)
        tag(emulator, arn, request.get("Tags", ()))
        return answer(kind.create, item)


def describe(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    item = get(emulator, kind, request[kind.key])
    if kind.on_describe:
        kind.on_describe(emulator, item)
    with emulator.store.lock:
        return answer(kind.describe, item)


def update(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        key = kind.update_key or kind.key
        item = get(emulator, kind, request[key])
        if kind.on_update:
            kind.on_update(emulator, item, request)
        else:
            skip = NOT_MEMBERS | {key}
            item.set(**{m: v for m, v in request.items() if m not in skip})
        return answer(kind.update, item)


def delete(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        item = get(emulator, kind, request[kind.key])
        if kind.on_delete:
            kind.on_delete(emulator, item, request)
        if not kind.deletes_itself:
            emulator.store.remove(item)
        return answer(kind.delete, item)


def listing(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    found = [item for item in emulator.store.all(kind.name) if _wanted(kind, item, request)]
    return page(kind.list, ordered(found, request, kind), request)


def get(emulator: Emulator, kind: ResourceType, name_or_arn: str) -> Resource:
    """The item, or SageMaker's own answer for a missing one."""
    name = short_name(name_or_arn)
    item = emulator.store.find(kind.name, name)
    if item is None:
        raise kind.missing.error(name=name, arn=emulator.arn(kind.arn.format(name=name)))
    return item


def answer(operation: str, item: Resource) -> dict[str, Any]:
    """The members of the operation's output shape that the item has."""
    members = frozenset(output_members(operation))
    return {name: value for name, value in shown(item).items() if name in members}


def page(operation: str, items: Iterable[Resource], request: Request) -> dict[str, Any]:
    """One page of summaries."""
    member, known = summary_member(operation)
    rows = [{m: v for m, v in shown(item).items() if m in known} for item in items]
    return paged(member, rows, request)


def paged(member: str, rows: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    """Rows from NextToken on, at most MaxResults of them."""
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise invalid(f"NextToken {token!r} was not given out by this operation")
    start, size = int(token), request.get("MaxResults", PAGE)
    result: dict[str, Any] = {member: rows[start : start + size]}
    if start + size < len(rows):
        result["NextToken"] = str(start + size)
    return result


def ordered(
    items: list[Resource], request: Request, kind: ResourceType | None = None
) -> list[Resource]:
    """Items sorted as the request asks."""
    by = request.get("SortBy", "CreationTime")
    status = kind.status_field if kind else ""
    keys: Mapping[str, Any] = {
        "CreationTime": lambda item: item.created,
        "Name": lambda item: item.name,
        "Status": lambda item: item.fields.get(status, ""),
    }
    default = "Ascending" if kind and kind.ascending else "Descending"
    return sorted(
        items,
        key=keys.get(by, lambda item: str(item.fields.get(by, ""))),
        reverse=request.get("SortOrder", default) == "Descending",
    )


def tag(emulator: Emulator, arn: str, tags: Iterable[Mapping[str, str]]) -> None:
    """Add tags to a resource."""
    emulator.store.tags.setdefault(arn, {}).update({t["Key"]: t["Value"] for t in tags})


def shown(item: Resource) -> dict[str, Any]:
    """All that can be said of an item."""
    times = {"CreationTime": item.created, "LastModifiedTime": item.modified}
    return {"CreatedBy": {}, "LastModifiedBy": {}, **times, **item.fields}


def _wanted(kind: ResourceType, item: Resource, request: Request) -> bool:
    filters = dict(kind.filters)
    if kind.status_field:
        filters["StatusEquals"] = kind.status_field
    equal = all(
        item.fields.get(member) == request[asked]
        for asked, member in filters.items()
        if asked in request
    )
    named = request.get("NameContains", "") in item.name and item.name.startswith(
        request.get("PipelineNamePrefix", "")
    )
    return equal and named and in_time(item, request)


def in_time(item: Resource, request: Request) -> bool:
    """Whether the item was created and modified when the request asks for."""
    bounds = (
        ("CreationTimeAfter", "CreatedAfter", "CreationTimeBefore", "CreatedBefore", item.created),
        ("LastModifiedTimeAfter", "", "LastModifiedTimeBefore", "", item.modified),
    )
    for after, after_too, before, before_too, time in bounds:
        low = request.get(after, request.get(after_too))
        high = request.get(before, request.get(before_too))
        if (low is not None and time < _time(low)) or (high is not None and time > _time(high)):
            return False
    return True


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC)
