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
class Lifecycle:
    """Statuses that a resource passes through by the clock. Default of each: it has none."""

    creating: str = ""
    ready: str = ""
    updating: str = ""
    updated: str = ""
    """Default: `ready` again."""

    deleting: str = ""
    deleted: str = ""
    """Shown for a while after it is deleted. Default: it is gone."""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One resource type: its operations, its identity, and what it does beyond being recorded."""

    name: str
    name_field: str
    """Member of the request and the answer that names the resource."""

    arn_field: str
    arn: str
    """Resource part of the ARN; `{name}` is filled in, and `{id}` with an id that AWS makes."""

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
    """Member of the list request -> member of the resource (dots lead inside) that must be equal to
    it, or hold it where the member of the request ends with Contains."""

    keys: tuple[str, ...] = ()
    """Members whose values, joined by `/`, name it. Default: `name_field` alone."""

    parents: Mapping[str, "ResourceType"] = field(default_factory=dict)
    """Member of the create request -> the type of what must be there under that name."""

    children: tuple[str, ...] = ()
    """Types whose names begin with its own; it is not deleted while it has some. Default: none."""

    in_use: str = "ValidationException"
    """Code of the refusal to delete something that has children."""

    refers: Mapping[str, str] = field(default_factory=dict)
    """Member, at any depth of its requests -> type of what must be there under that name or ARN."""

    kept_by: tuple[str, ...] = ()
    """Types that may name it; it is not deleted while one does. Default: nobody is asked."""

    named_by: tuple[str, ...] = ()
    """Members by which they name it."""

    lifecycle: Lifecycle | None = None
    """Default: it is at once what a request makes of it."""

    ready: str = ""
    """Value of `status_field` once it is created. Default: `on_create` says it."""

    made: Mapping[str, Any] = field(default_factory=dict)
    """Further members that a new one has. Default: none but what the request says."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Member of a request -> its name in the answers, where they differ."""

    shown_in: str = ""
    """Member of the describe answer that holds it. Default: its members are the answer's own."""

    takes_all: bool = False
    """Whether every member of its requests acts. Default: `fields` says which do."""

    is_recorded: bool = False
    """Whether it is kept and shown, and nothing acts on it. Default: it behaves."""

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
    def operations(self) -> frozenset[str]:
        """Every operation of the row."""
        told = (self.create, self.describe, self.list, self.update, self.delete)
        return frozenset(name for name in told if name)

    @property
    def key(self) -> str:
        return self.key_field or self.name_field


def short_name(name_or_arn: str) -> str:
    """The name in an ARN, as items are keyed; a name stays what it is."""
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    return name_or_arn.split(":", 5)[-1].partition("/")[2]
