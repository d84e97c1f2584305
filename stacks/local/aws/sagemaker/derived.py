"""Rows of the resource table as botocore's model of SageMaker describes them.

What the model says (operations, members, statuses, errors) is read there; a caller adds the rest.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import LIST_MEMBERS, made_id
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.resource_type import (
    Exists,
    Lifecycle,
    Missing,
    Request,
    ResourceType,
)
from stacks.local.aws.sagemaker.shapes import (
    errors_of,
    in_use_code,
    input_members,
    operation_names,
)
from stacks.local.aws.sagemaker.shapes import output_members as members_of

READY = (
    "InService", "Active", "ACTIVE", "Created", "CREATED", "CreateCompleted", "Completed",
    "Available", "READY", "CREATE_COMPLETE",
)  # fmt: skip
"""Statuses of something that is there and works, of which a type has one."""

CREATING = ("Pending", "Creating", "CREATING", "CreateInProgress", "Importing")
UPDATING = ("Updating", "UPDATING", "UpdateInProgress")
UPDATED = ("UpdateCompleted",)
DELETING = ("Deleting", "DELETING", "DeleteInProgress")
DELETED = ("Deleted", "DeleteCompleted")
"""Statuses on the way of something, of which a type has at most one each."""


def derived(stem: str, **said: Any) -> ResourceType:
    """The row of a resource type whose operations end with `stem`; what is said wins."""
    names, create, describe = operation_names(), f"Create{stem}", f"Describe{stem}"
    shown_in = stem if set(members_of(describe)) == {stem} else ""
    shown = members_of(describe)[stem].members if shown_in else members_of(describe)
    update, delete = f"Update{stem}", f"Delete{stem}"
    keys: tuple[str, ...] = said.get("keys", (_first(f"{stem}Name", "Name", among=shown),))
    status, ready = _status(stem, shown)
    listed = said.get("list", _plural(stem, names))
    missing = "ResourceNotFound" in errors_of(describe)
    row = ResourceType(
        name=words(stem),
        name_field=keys[-1],
        keys=keys,
        arn_field=_first(f"{stem}Arn", "Arn", among=shown),
        arn=f"{words(stem).replace(' ', '-')}/{{name}}",
        missing=Missing(
            code="ResourceNotFound" if missing else "ValidationException",
            text=f"{stem} {{arn}} does not exist.",
        ),
        exists=Exists(code=in_use_code(create), text=_taken(stem, in_use_code(create))),
        create=create,
        describe=describe,
        list=listed,
        update=update if update in names else "",
        delete=delete if delete in names else "",
        in_use=in_use_code(delete) if delete in names else "",
        status_field=status,
        ready=ready,
        shown_in=shown_in,
        filters=_filters(listed),
    )
    told = {name: value for name, value in said.items() if name != "missing"}
    if "missing" in said:
        told["missing"] = replace(row.missing, text=said["missing"])
    told["filters"] = {**row.filters, **said.get("filters", {})}
    return replace(row, **told)


def recorded(stem: str, **said: Any) -> ResourceType:
    """The row of a type that is kept and shown, and on which nothing acts."""
    return derived(stem, is_recorded=True, takes_all=True, **said)


def living(stem: str, **said: Any) -> ResourceType:
    """The row of a type that passes through the statuses that the model has for it."""
    row = derived(stem, takes_all=True, **said)
    told = members_of(row.describe)
    has = told[row.status_field].metadata["enum"] if row.status_field in told else ()

    def of(statuses: Sequence[str]) -> str:
        return next((status for status in statuses if status in has), "")

    life = Lifecycle(
        creating=of(CREATING),
        ready=row.ready,
        updating=of(UPDATING) if row.update else "",
        updated=of(UPDATED),
        deleting=of(DELETING),
        deleted=of(DELETED),
    )
    return replace(row, lifecycle=life) if has else row


def words(stem: str) -> str:
    """UserProfile as `user profile`, AIWorkloadConfig as `ai workload config`."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*", stem)
    return " ".join(parts).lower()


def invented(prefix: str) -> Callable[[Emulator, Request], str]:
    """Names that AWS makes."""
    return lambda emulator, request: f"{prefix}{made_id()}"


def invented_once(stem: str, member: str) -> Callable[[Emulator, Request], str]:
    """The same where another member must be unique as well."""

    def identify(emulator: Emulator, request: Request) -> str:
        for item in emulator.store.all(words(stem)):
            if item.fields[member] == request[member]:
                told = f"{stem} {item.arn} already has the {member} {request[member]!r}."
                raise ApiError("ConflictException", told)
        return made_id()

    return identify


def _plural(stem: str, names: frozenset[str]) -> str:
    told = (f"List{stem}s", f"List{stem.removesuffix('y')}ies")
    return next((name for name in told if name in names), "")


def _first(*names: str, among: Mapping[str, Any]) -> str:
    return next((name for name in names if name in among), names[0])


def _status(stem: str, shown: Mapping[str, Any]) -> tuple[str, str]:
    """The member that tells the status, and its value once all is well, if it is a usual one."""
    for name in (f"{stem}Status", "Status"):
        values = shown[name].metadata.get("enum", ()) if name in shown else ()
        if values:
            return name, next((word for word in READY if word in values), "")
    return "", ""


def _taken(stem: str, code: str) -> str:
    """What SageMaker says of a name that is taken."""
    if code == "ResourceInUse":
        return (
            f"Resource Already Exists: {stem} with name {{name}} already exists. Choose a "
            "different name."
        )
    return f"{stem} names must be unique: {{arn}} already exists."


def _filters(operation: str) -> dict[str, str]:
    """What a list filters by beside the members that every list has."""
    own = input_members(operation).keys() - LIST_MEMBERS if operation else set()
    return {name: name.removesuffix("Equals").removesuffix("Contains") for name in sorted(own)}
