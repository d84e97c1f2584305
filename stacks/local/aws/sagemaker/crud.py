"""Interprets the resource table: one create, describe, list, update and delete for every row."""

import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import lifecycles, references
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import Request, ResourceType, short_name
from stacks.local.aws.sagemaker.shapes import default_sort, output_members, summary_member
from stacks.local.aws.store import Resource

ID_LETTERS = string.ascii_lowercase + string.digits
CREATED = ("creationtime", "createdtime", "createdate")
CREATION = ("CreationTime", "CreatedAt", "CreateDate", "RegistrationTime")
CHANGE = ("LastModifiedTime", "LastModifiedAt", "LastUpdatedDate")
"""Members that say when something was made and changed: types differ in the words."""

BOUNDS_CREATED = (("CreationTimeAfter", "CreationTimeBefore"), ("CreatedAfter", "CreatedBefore"))
BOUNDS_CHANGED = (
    ("LastModifiedTimeAfter", "LastModifiedTimeBefore"),
    ("ModifiedTimeAfter", "ModifiedTimeBefore"),
)

TOKENS = ("ClientRequestToken", "ClientToken")
"""Members by which a request is told from another: sent again, it makes nothing more."""

MADE_BY = "CreationToken"
"""Member of a resource that no answer has: the token with which it was made."""

NOT_MEMBERS = frozenset({"DeleteProperties", "Tags", *TOKENS})
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
        "ModifiedTimeAfter",
        "ModifiedTimeBefore",
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
    check_tags(request.get("Tags", ()))
    with store.lock:
        for member, parent in kind.parents.items():
            if member in request:
                lifecycles.check_there(parent, get(emulator, parent, request[member]))
        references.check_named(emulator, kind, kind.create, request)
        name = kind.identify(emulator, request) if kind.identify else key_of(kind, request)
        arn = emulator.arn(kind.arn.format(name=name, id=made_id()))
        before = store.find(kind.name, name)
        token = next((request[member] for member in TOKENS if member in request), None)
        if before is not None and not lifecycles.is_deleted(before):
            if token is not None and before.fields.get(MADE_BY) == token:
                return answer(kind.create, before)
            raise kind.exists.error(name=name, arn=arn)
        fields = {MADE_BY: token} if token is not None else {}
        fields |= {**kind.made, **_members(kind, request), kind.arn_field: arn}
        if kind.ready:
            fields[kind.status_field] = kind.ready
        item = Resource(kind=kind.name, name=name, arn=arn, fields=fields)
        item.fields.setdefault(kind.name_field, name)
        if before is not None:  # an app that is started again (DescribeApp, CreationTime)
            item.created = before.created
        if kind.on_create:
            kind.on_create(emulator, item, request)
        lifecycles.created(kind, item)
        store.add(item)
        tag(emulator, arn, request.get("Tags", ()))
        return answer(kind.create, item)


def made_id(length: int = 12) -> str:
    """An id as AWS makes them: small letters and digits."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(length))


def key_of(kind: ResourceType, request: Request) -> str:
    """The name of what a request is about; empty parts are left out."""
    parts = [str(request[member]) for member in kind.keys or (kind.key,) if member in request]
    return "/".join(short_name(part) for part in parts)


def _members(kind: ResourceType, request: Request) -> dict[str, Any]:
    return {
        kind.renamed.get(member, member): value
        for member, value in request.items()
        if member not in NOT_MEMBERS
    }


def changes(kind: ResourceType, request: Request) -> dict[str, Any]:
    """Members that an update gives, without those that say of what."""
    skip = {*kind.keys, kind.update_key or kind.key}
    return _members(kind, {member: v for member, v in request.items() if member not in skip})


def describe(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    item = asked(emulator, kind, request)
    if kind.on_describe:
        kind.on_describe(emulator, item)
    with emulator.store.lock:
        return answer(kind.describe, item, kind.shown_in)


def update(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        item = asked(emulator, kind, request)
        lifecycles.check_free(kind, item, kind.update)
        references.check_named(emulator, kind, kind.update, request)
        if kind.on_update:
            kind.on_update(emulator, item, request)
        else:
            item.set(**dict.fromkeys(request.get("DeleteProperties", ())), **changes(kind, request))
        lifecycles.updated(kind, item)
        return answer(kind.update, item, kind.shown_in)


def delete(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        item = asked(emulator, kind, request)
        lifecycles.check_free(kind, item, kind.delete)
        for child in kind.children:
            if any(not lifecycles.is_deleted(one) for one in within(emulator, child, item)):
                raise _has(kind, item, child)
        references.check_unnamed(emulator, kind, item)
        if kind.on_delete:
            kind.on_delete(emulator, item, request)
        if not (kind.deletes_itself or lifecycles.deleted(kind, item)):
            emulator.store.remove(item)
        return answer(kind.delete, item)


def _has(kind: ResourceType, item: Resource, child: str) -> ApiError:
    """DeleteUserProfile, as AWS says it of an app (amazon-sagemaker-feedback#113)."""
    what, of = kind.create.removeprefix("Create"), child.title().replace(" ", "")
    told = f"Unable to delete {what} [{item.arn}] because {of}(s) are associated with it."
    return ApiError(kind.in_use, told)


def within(emulator: Emulator, kind: str, parent: Resource) -> list[Resource]:
    """What is in something, by its name."""
    return [item for item in emulator.store.all(kind) if item.name.startswith(f"{parent.name}/")]


def listing(emulator: Emulator, kind: ResourceType, request: Request) -> dict[str, Any]:
    found = [item for item in emulator.store.all(kind.name) if _wanted(kind, item, request)]
    return page(kind.list, ordered(found, request, kind), request)


def asked(emulator: Emulator, kind: ResourceType, request: Request) -> Resource:
    """The item that a describe, update or delete request names."""
    by_arn = kind.update_key if kind.update_key in request else kind.key
    if len(kind.keys) < 2:
        return get(emulator, kind, request[by_arn])
    return get(emulator, kind, key_of(kind, request))


def get(emulator: Emulator, kind: ResourceType, name_or_arn: str) -> Resource:
    """The item, or SageMaker's own answer for a missing one."""
    name = short_name(name_or_arn)
    item = emulator.store.find(kind.name, name)
    if item is None and name_or_arn.startswith("arn:"):  # of an id, where names are the key
        item = emulator.store.by_arn(name_or_arn)
    if item is None or item.kind != kind.name:
        arn = emulator.arn(kind.arn.format(name=name, id=name))
        raise kind.missing.error(name=name.rpartition("/")[2], arn=arn)
    return item


def answer(operation: str, item: Resource, shown_in: str = "") -> dict[str, Any]:
    """The members of the operation's output shape that the item has."""
    members = output_members(operation)
    if shown_in in members:
        return {shown_in: _known(item, members[shown_in].members)}
    return _known(item, members)


def _known(item: Resource, members: Iterable[str]) -> dict[str, Any]:
    known = frozenset(members)
    return {name: value for name, value in shown(item).items() if name in known}


def page(operation: str, items: Iterable[Resource], request: Request) -> dict[str, Any]:
    """One page of summaries."""
    member, known = summary_member(operation)
    return paged(member, [_known(item, known) for item in items], request)


def paged(member: str, rows: Sequence[Any], request: Request) -> dict[str, Any]:
    """Rows from NextToken on, at most MaxResults of them."""
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise invalid(f"NextToken {token!r} was not given out by this operation")
    start, size = int(token), request.get("MaxResults", PAGE)
    result: dict[str, Any] = {member: list(rows[start : start + size])}
    if start + size < len(rows):
        result["NextToken"] = str(start + size)
    return result


def ordered(
    items: list[Resource], request: Request, kind: ResourceType | None = None
) -> list[Resource]:
    """Items sorted as the request asks, or as the documentation of the operation says."""
    default_by, default_order = default_sort(kind.list) if kind else ("CreationTime", "Descending")
    by = _plain(request.get("SortBy", default_by))
    status = kind.status_field if kind else ""

    def value(item: Resource) -> Any:
        if by in CREATED:
            return item.created
        if by == "lastmodifiedtime":
            return item.modified
        named = {_plain(member): member for member in item.fields}
        found = item.fields.get(status if by == "status" else named.get(by, ""), "")
        if isinstance(found, int):  # a version
            return found
        if by == "name" or (kind and by == _plain(kind.name_field)):
            return item.name.rpartition("/")[2]
        return str(found)

    order = _plain(request.get("SortOrder", default_order))
    return sorted(items, key=value, reverse=order == "descending")


def _plain(word: str) -> str:
    """CreationTime as CREATION_TIME, which some operations write."""
    return word.replace("_", "").lower()


def check_tags(tags: Iterable[Mapping[str, str]]) -> None:
    """The prefix `aws:` is AWS's own, and a key stands once (AWS General Reference, "Tag naming
    limits and requirements")."""
    given = [*tags]
    if len({one["Key"] for one in given}) < len(given):
        raise invalid("Duplicate tag keys found. Each tag key must be unique")
    for one in given:
        if one["Key"].lower().startswith("aws:"):
            raise invalid(f"Tag key {one['Key']!r} must not begin with aws:, which is reserved")


def tag(emulator: Emulator, arn: str, tags: Iterable[Mapping[str, str]]) -> None:
    """Add tags to a resource."""
    emulator.store.tags.setdefault(arn, {}).update({t["Key"]: t["Value"] for t in tags})


def shown(item: Resource) -> dict[str, Any]:
    """All that can be said of an item."""
    times = {**dict.fromkeys(CREATION, item.created), **dict.fromkeys(CHANGE, item.modified)}
    return {"CreatedBy": {}, "LastModifiedBy": {}, **times, **item.fields}


def _wanted(kind: ResourceType, item: Resource, request: Request) -> bool:
    filters = dict(kind.filters)
    if kind.status_field:
        filters["StatusEquals"] = kind.status_field
    fits = all(
        _fits(asked, _member(item, member), request[asked])
        for asked, member in filters.items()
        if asked in request
    )
    named = request.get("NameContains", "") in item.name.rpartition("/")[2]
    begins = item.name.startswith(request.get("PipelineNamePrefix", ""))
    return fits and named and begins and in_time(item, request)


def _member(item: Resource, path: str) -> Any:
    """A member, or one inside of it: `OfflineStoreStatus.Status`."""
    found: Any = item.fields
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _fits(asked: str, has: Any, wanted: Any) -> bool:
    """Whether a member is what a filter asks for, or holds it: as a text or in a list."""
    return (
        wanted in (has or "")
        if asked.endswith("Contains") or isinstance(has, list)
        else (has == wanted or (isinstance(has, str) and has == short_name(wanted)))
    )


def in_time(item: Resource, request: Request) -> bool:
    """Whether the item was created and modified when the request asks for."""
    for times, moment in ((BOUNDS_CREATED, item.created), (BOUNDS_CHANGED, item.modified)):
        for after, before in times:
            if after in request and moment < as_time(request[after]):
                return False
            if before in request and moment > as_time(request[before]):
                return False
    return True


def as_time(value: Any) -> datetime:
    """A time of a request, which JSON has as seconds."""
    return value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC)
