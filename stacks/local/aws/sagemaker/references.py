"""What a request names that must be there, and who names something that is to be deleted.

A type says by which members, wherever they stand in its request, it names things of which type.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.lifecycles import is_deleted
from stacks.local.aws.sagemaker.resource_type import ResourceType, short_name
from stacks.local.aws.sagemaker.shapes import errors_of
from stacks.local.aws.store import Resource


def check_named(
    emulator: Emulator, kind: ResourceType, operation: str, request: Mapping[str, Any]
) -> None:
    """Refuse a request that names what is not there; another account's things are not looked at."""
    for of, name in named(request, kind.refers):
        found = emulator.store.find(of, short_name(name))
        if found is None and not _elsewhere(name):
            has_own = "ResourceNotFound" in errors_of(operation)
            what = of.title().replace(" ", "")
            told = f"{what} [{name}] does not exist."
            raise ApiError("ResourceNotFound" if has_own else "ValidationException", told)


def check_unnamed(emulator: Emulator, kind: ResourceType, item: Resource) -> None:
    """Refuse to delete what others name (DeleteStudioLifecycleConfig, API reference)."""
    for user in kind.kept_by:
        for other in emulator.store.all(user):
            names = named(other.fields, dict.fromkeys(kind.named_by, kind.name))
            if not is_deleted(other) and any(short_name(name) == item.name for _, name in names):
                what = kind.create.removeprefix("Create")
                told = f"Unable to delete {what} [{item.arn}] because [{other.arn}] uses it."
                raise ApiError(kind.in_use, told)


def named(value: Any, refers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Type and name or ARN of everything that is named."""
    if isinstance(value, Mapping):
        for member, inner in value.items():
            of = refers.get(member)
            if of is None:
                yield from named(inner, refers)
            else:
                told = inner if isinstance(inner, list) else [inner]
                yield from ((of, name) for name in told if name)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner, refers)


def _elsewhere(name: str) -> bool:
    return name.startswith("arn:") and name.split(":")[4] != ACCOUNT_ID
