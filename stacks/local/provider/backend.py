"""What the provider plugin asks of a cloud, and the values that pass between the two."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Properties = dict[str, Any]
"""Pulumi properties as plain Python values, in Pulumi's own camel case."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""A value that a preview cannot know yet: the engine's sentinel for an unknown string."""

ChangeKind = Literal["add", "delete", "update"]


SESSION_SETTING = "plinth:session"
"""Beside an engine's settings: keys of the session with which it deploys, in no state or answer."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The resource that a request is about."""

    urn: str
    token: str
    name: str
    """The name in the Pulumi program."""

    settings: Properties = field(default_factory=dict, repr=False, compare=False)
    """Settings of the provider resource that it is managed by."""

    def __str__(self) -> str:
        return f'{self.token} "{self.name}"'


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One input that cannot be accepted; an empty property means the resource as a whole."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One input that differs, by its path such as `tags.team` or `rules[0].id`."""

    path: str
    kind: ChangeKind
    replaces: bool

    @property
    def root(self) -> str:
        """The top-level property that the path starts with."""
        return self.path.partition(".")[0].partition("[")[0]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What an update would have to do."""

    changes: tuple[Change, ...] = ()
    delete_first: bool = False
    """A replacement needs the old one's name, so the old one goes first."""

    @property
    def replaces(self) -> bool:
        """True when AWS could not change the resource in place."""
        return any(change.replaces for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Existing:
    """A resource as the cloud holds it."""

    id: str
    inputs: Properties
    """What a program would have to say to get it."""

    outputs: Properties = field(repr=False)
    """Everything the engine keeps about it."""


class Backend(Protocol):
    """A cloud, seen as resource types that can be checked, compared and changed."""

    package: str
    version: str

    def check_settings(self, settings: Properties) -> list[Failure]:
        """Refuse provider settings that this cloud does not act on."""

    def replaced_settings(self, old: Properties, new: Properties) -> list[str]:
        """Settings whose change means another cloud, in which nothing of the old one exists."""

    def check(
        self, subject: Subject, new: Properties, old: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """Fill in what the cloud would choose and refuse what it would ignore."""

    def names(self, subject: Subject) -> Collection[tuple[str, ...]]:
        """Where the inputs stand that the id is made of."""

    def diff(self, subject: Subject, old: Properties, new: Properties) -> Difference:
        """Compare two sets of inputs."""

    def plan(self, subject: Subject, new: Properties, old: Properties | None) -> Properties:
        """Outputs as far as they are known before anything is done."""

    def create(self, subject: Subject, inputs: Properties) -> Existing:
        """Make it, and leave nothing behind if that fails."""

    def read(self, subject: Subject, id: str, inputs: Properties | None) -> Existing | None:
        """Look it up; None inputs mean an import: say all that is not a default."""

    def update(self, subject: Subject, id: str, old: Properties, new: Properties) -> Existing:
        """Change it in place from one set of inputs to another."""

    def delete(self, subject: Subject, id: str, inputs: Properties) -> None:
        """Remove it; quiet when it is gone already."""

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        """Answer a function call such as `aws:index/getCallerIdentity:getCallerIdentity`."""
