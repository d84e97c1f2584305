"""Private hubs and their contents: versions of a document, by which a team shares its models.

Source: SageMaker API reference, ImportHubContent and those beside it. The public hub and what
refers to it (JumpStart) are not here.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud, lifecycles
from stacks.local.aws.sagemaker.derived import living
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.resource_type import Request, short_name
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
CONTENT = "hub content"
FIRST = "1.0.0"
STATUS = "HubContentStatus"

HUB = living("Hub", children=(CONTENT,))


def _import(emulator: Emulator, request: Request) -> Answer:
    hub = crud.get(emulator, HUB, request["HubName"])
    lifecycles.check_there(HUB, hub)
    version = request.get("HubContentVersion", FIRST)
    name = "/".join((_prefix(hub, request), version))
    arn = emulator.arn(f"hub-content/{name}")
    if emulator.store.find(CONTENT, name):
        raise ApiError("ResourceInUse", f"Hub content {arn} already exists.")
    said = {member: value for member, value in request.items() if member != "Tags"}
    where = {"HubName": hub.name, "HubArn": hub.arn, "HubContentArn": arn}
    fields = {"SupportStatus": "Supported", **said, **where, "HubContentVersion": version}
    item = Resource(kind=CONTENT, name=name, arn=arn, fields=fields)
    lifecycles.begin(item, {STATUS: "Importing"}, _imported(request["HubContentDocument"]))
    emulator.store.add(item)
    crud.tag(emulator, arn, request.get("Tags", ()))
    return {"HubArn": hub.arn, "HubContentArn": arn}


def _imported(document: str) -> dict[str, str]:
    """What an import ends with: a document is JSON (HubContentDocument)."""
    try:
        json.loads(document)
    except ValueError as error:
        return {STATUS: "ImportFailed", "FailureReason": f"HubContentDocument is no JSON: {error}"}
    return {STATUS: "Available"}


def _describe(emulator: Emulator, request: Request) -> Answer:
    return crud.answer("DescribeHubContent", _content(emulator, request))


def _update(emulator: Emulator, request: Request) -> Answer:
    item = _content(emulator, request)
    _free(item, "UpdateHubContent")
    keys = {"HubName", "HubContentType", "HubContentName", "HubContentVersion"}
    item.set(**{member: value for member, value in request.items() if member not in keys})
    return crud.answer("UpdateHubContent", item)


def _delete(emulator: Emulator, request: Request) -> Answer:
    item = _content(emulator, request)
    _free(item, "DeleteHubContent")
    lifecycles.begin(item, {STATUS: "Deleting"}, {})
    return {}


def _free(item: Resource, operation: str) -> None:
    if item.becomes is not None:
        told = f"{operation} of [{item.arn}] must wait: it is {item.fields[STATUS]}."
        raise ApiError("ResourceInUse", told)


def _list(emulator: Emulator, request: Request) -> Answer:
    """The newest version of each content of a hub and type."""
    hub = crud.get(emulator, HUB, request["HubName"])
    newest: dict[str, Resource] = {}
    for item in _of(emulator, f"{hub.name}/{request['HubContentType']}/"):
        known = newest.get(item.fields["HubContentName"])
        if known is None or _number(known) < _number(item):
            newest[item.fields["HubContentName"]] = item
    part = request.get("NameContains", "")
    found = [item for name, item in newest.items() if part in name and _schema(item, request)]
    return _listed("ListHubContents", found, request)


def _versions(emulator: Emulator, request: Request) -> Answer:
    least = _parts(request.get("MinVersion", "0"))
    found = [
        item
        for item in _all_versions(emulator, request)
        if _number(item) >= least and _schema(item, request)
    ]
    return _listed("ListHubContentVersions", found, request)


def _listed(operation: str, found: list[Resource], request: Request) -> Answer:
    in_time = [item for item in found if crud.in_time(item, request)]
    return crud.page(operation, crud.ordered(in_time, request), request)


def _content(emulator: Emulator, request: Request) -> Resource:
    """The version that is asked for, else the newest."""
    versions = _all_versions(emulator, request)
    wanted = request.get("HubContentVersion")
    for item in versions:
        if wanted in (None, item.fields["HubContentVersion"]):
            return item
    name = request["HubContentName"]
    raise ApiError("ResourceNotFound", f"HubContent {name} version {wanted} does not exist.")


def _all_versions(emulator: Emulator, request: Request) -> list[Resource]:
    """Newest first; ResourceNotFound where there is none."""
    hub = crud.get(emulator, HUB, request["HubName"])
    found = _of(emulator, f"{_prefix(hub, request)}/")
    if not found:
        told = f"HubContent {request['HubContentName']} does not exist in {hub.arn}."
        raise ApiError("ResourceNotFound", told)
    return sorted(found, key=_number, reverse=True)


def _of(emulator: Emulator, prefix: str) -> list[Resource]:
    return [item for item in emulator.store.all(CONTENT) if item.name.startswith(prefix)]


def _prefix(hub: Resource, request: Request) -> str:
    return f"{hub.name}/{request['HubContentType']}/{short_name(request['HubContentName'])}"


def _number(item: Resource) -> tuple[int, ...]:
    return _parts(item.fields["HubContentVersion"])


def _schema(item: Resource, request: Request) -> bool:
    """ListHubContents, API reference: MaxSchemaVersion is the highest version to be shown."""
    most = request.get("MaxSchemaVersion")
    return most is None or _parts(item.fields["DocumentSchemaVersion"]) <= _parts(most)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


TYPES = (HUB,)
OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "DeleteHubContent": _delete,
    "DescribeHubContent": _describe,
    "ImportHubContent": _import,
    "ListHubContentVersions": _versions,
    "ListHubContents": _list,
    "UpdateHubContent": _update,
}
