"""What a row of the resource table says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.store import Resource

Request = Mapping[str, Any]
Hook = Callable[[Emulator, Resource, Request], None]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """How SageMaker says that there is no such thing; `{name}` and `{arn}` are filled in."""

    text: str
    code: str = "ValidationException"

    def error(self, **names: str) -> ApiError:
        return ApiError(self.code, self.text.format(**names))


@dataclass(frozen=True, kw_only=True)
class Exists(Missing):
    """How SageMaker says that the name is taken."""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One resource type: its operations, its identity, and what it does beyond being recorded."""

    name: str
    name_field: str
    """Member of the request and the answer that names the resource."""

    arn_field: str
    arn: str
    """Resource part of the ARN; `{name}` is filled in."""

    missing: Missing
    exists: Exists
    create: str
    describe: str
    list: str
    delete: str = ""
    """Default: the API has no such operation."""

    update: str = ""
    """Default: the API has no such operation."""

    key_field: str = ""
    """Member that describe, update and delete find it by. Default: `name_field`."""

    update_key: str = ""
    """Member that update finds it by. Default: as describe and delete."""

    identify: Callable[[Emulator, Request], str] | None = None
    """Name of a new resource from its request. Default: the value of `name_field`."""

    status_field: str = ""
    """Member that ListX filters by StatusEquals and sorts by Status. Default: it has none."""

    filters: Mapping[str, str] = field(default_factory=dict)
    """Member of the list request -> member of the resource that must be equal to it."""

    ascending: bool = False
    """Order of creation in lists, as documented per operation. Default: newest first."""

    on_create: Hook | None = None
    """Checks the request and starts what lives. Default: the resource is only recorded."""

    on_update: Hook | None = None
    """Does the update. Default: the members of the request replace those of the resource."""

    on_delete: Hook | None = None
    """Stops what lives. Default: nothing lives."""

    deletes_itself: bool = False
    """Whether `on_delete` removes the item later. Default: it is gone at once."""

    on_describe: Callable[[Emulator, Resource], None] | None = None
    """Refreshes the members before they are shown. Default: they are up to date."""

    @property
    def key(self) -> str:
        return self.key_field or self.name_field


def short_name(name_or_arn: str) -> str:
    """The name in an ARN, as items are keyed; a name stays what it is."""
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    return name_or_arn.split(":", 5)[-1].partition("/")[2]
