"""A change of a stack as the review sees it, wherever it was read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from policies.data import UNKNOWN, Resource, Source
from policies.review.defaults import completed, spelled
from policies.review.differences import Leaf, leaves
from policies.review.knowledge import known
from policies.review.meaning import meaning
from policies.review.pod_networks import narrowed
from policies.review.scales import Meaning
from policies.review.settled import settled
from policies.review.spelling import is_a_set

Operation = Literal["create", "update", "replace", "delete", "same"]
OPERATIONS: tuple[Operation, ...] = ("delete", "replace", "update", "create", "same")
"""Most dangerous first: the order of every list in a review."""

Origin = Literal["preview digest", "event stream", "local preview", "mocked synth"]
Kind = Literal["add", "update", "delete"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """One input that differs, by its path such as `tags.team` or `rules[0].port`."""

    path: str
    kind: Kind
    replaces: bool = False
    """The cloud cannot change it in place."""
    known: bool = True
    """False: the new value is known only during the update, so it may prove to be the old one."""
    old: Any = None
    new: Any = None

    @property
    def root(self) -> str:
        """The top-level property that the path starts with."""
        return self.path.partition(".")[0].partition("[")[0]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one operation does to one resource."""

    operation: Operation
    urn: str
    type: str
    name: str
    old: Resource | None = None
    """None where it is created."""
    new: Resource | None = None
    """None where it is deleted."""
    properties: tuple[Property, ...] = ()
    delete_first: bool = False
    """A replacement deletes the old one before the new one exists."""
    component: bool = False
    """It is a name for other resources, and nothing in the cloud."""
    imported: bool = False
    """It is there already, and the stack takes it over."""
    external: bool = False
    """It is somebody else's, and only read: nothing here judges or pays for it."""

    @cached_property
    def differences(self) -> tuple[tuple[Leaf, Meaning], ...]:
        """Every input that differs, leaf by leaf, with what it means; tags are none of them."""
        if self.old is None or self.new is None:
            return ()
        before, after = spelled(self.old.inputs.value, self.new.inputs.value, self.type)
        about = known(self.type)
        sets = about.sets
        guard = not about.is_known or any(k in about.kinds for k in ("guards", "records", "state"))

        def ordered(path: tuple[str, ...], items: Sequence[Any]) -> bool:
            place = ".".join(name for name in path if name[:1] != "[").lower()
            return place not in sets and not is_a_set(path, items)

        found = (
            (leaf, meaning(leaf, self.type, of_a_guard=guard, watches=about.watches))
            for root in sorted({item.root for item in self.properties} - set(TAGS))
            for each in leaves(before.get(root), after.get(root), (root,), ordered)
            for near in [each if each.path[1:] else replace(each, beside=after)]
            for leaf in [completed(near, self.type)]
        )
        if narrowed(self.type, before, after):
            found = ((leaf, NARROWED if leaf.path[:1] == ("spec",) else old) for leaf, old in found)
        return settled(found, self.type)

    @property
    def unshown(self) -> tuple[str, ...]:
        """Properties that the engine names though no input of them differs."""
        if self.old is None or self.new is None:
            return ()
        before, after = self.old.inputs.value, self.new.inputs.value
        roots = dict.fromkeys(item.root for item in self.properties)
        return tuple(root for root in roots if before.get(root) == after.get(root))

    @property
    def forced_by(self) -> tuple[Property, ...]:
        """The properties that make it a replacement."""
        return tuple(item for item in self.properties if item.replaces)

    @property
    def may_stay(self) -> bool:
        """A replacement that turns into an update if no forcing value really differs."""
        forced = self.forced_by
        return self.operation == "replace" and bool(forced) and not any(p.known for p in forced)

    @property
    def retags(self) -> tuple[str, ...]:
        """What happens to its tags, such as `team a -> b`; empty where anything else differs."""
        if self.operation != "update" or self.old is None or self.new is None:
            return ()
        if {item.root for item in self.properties} - set(TAGS) or lifted(self.old, self.new):
            return ()
        for name in TAGS:
            sides = [side.inputs.value.get(name) or {} for side in (self.old, self.new)]
            if sides[0] != sides[1] and all(isinstance(side, Mapping) for side in sides):
                return tuple(_retagged(*sides))
        return ()

    @property
    def source(self) -> Source | None:
        """The line that registered it; None where the input has no stack frames."""
        return self.resource.source

    @property
    def resource(self) -> Resource:
        """The resource afterwards, or what is deleted."""
        found = self.new or self.old
        if found is None:
            raise ValueError(
                f"change of {self.urn} must have an old or a new resource, got neither"
            )
        return found


NARROWED = Meaning("stronger", "it lets nothing through that it held back before")

TAGS = ("tags", "tagsAll")
"""Inputs that say whose a resource is, not what it does."""


def _retagged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if key not in new:
            yield f"- {key} {before}"
        elif key not in old:
            yield f"+ {key} {_told(after)}"
        elif before != after:
            yield f"{key} {before} -> {_told(after)}"


def _told(value: Any) -> str:
    return "(known after the update)" if value is UNKNOWN else str(value)


def lifted(old: Resource, new: Resource) -> list[str]:
    """Options that the program asks for no longer, or asks for now: no property shows them."""
    before, after = old.options, new.options
    differs = {
        "protect": before.protect != after.protect,
        "retainOnDelete": bool(before.retain_on_delete) != bool(after.retain_on_delete),
        "ignoreChanges": set(before.ignore_changes) != set(after.ignore_changes),
        "provider": "" not in (was := before.provider, now := after.provider) and was != now,
        "deletedWith": before.deleted_with != after.deleted_with,
    }
    return [name for name, found in differs.items() if found]


@dataclass(frozen=True, kw_only=True)
class StackChange:
    """Everything a review knows about one update of one stack."""

    env: str
    origin: Origin
    changes: Sequence[Change]
    """By urn; resources that stay the same are among them where the input has them."""
    definitions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Pipeline name -> its definition before and after. Default: read from the changes."""
    commit: str = ""
    base: str = ""
    """What it is compared with, such as a revision or `state`. Default: not told."""
    drifted: Sequence[str] = ()
    """URNs that no longer are what the state says. Default: nobody looked."""
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Engine or provider -> its version before and after. Default: the same, or nobody looked."""
    failures: Sequence[str] = ()
    """Errors with which the preview ended. Default: it ran to its end."""
    doubts: Sequence[str] = ()
    """Why the input may not be the whole change. Default: it is."""
    pending: Mapping[str, Resource] = field(default_factory=dict)
    """URN -> the old one that an earlier, interrupted update left over, and this one deletes."""
    moved: Sequence[str] = ()
    """Providers that reach another place than before, and what stands behind them. Default: none.
    """
    reconfigured: Sequence[str] = ()
    """Providers that act otherwise than before, in the same place. Default: none."""
    skipped: Sequence[str] = ()
    """URNs that `--target` or `--exclude` leaves out, as far as the engine tells. Default: none."""
    outputs_before: Mapping[str, Any] = field(default_factory=dict)
    """What the stack exports, for people and for other stacks. Default: nothing."""
    outputs_after: Mapping[str, Any] | None = None
    """The same afterwards. Default: the input does not tell."""
    warnings: Sequence[str] = ()
    """What could not be read from the input: a review says so."""

    def of(self, *operations: Operation) -> list[Change]:
        """The changes with these operations."""
        return [change for change in self.changes if change.operation in operations]

    @cached_property
    def by_urn(self) -> dict[str, Change]:
        """The changes by their URN."""
        return {change.urn: change for change in self.changes}

    def before(self) -> list[Resource]:
        """The stack as it is."""
        return [c.old for c in self.changes if c.old is not None and not c.external]

    def after(self) -> list[Resource]:
        """The stack as it would be."""
        return [c.new for c in self.changes if c.new is not None and not c.external]

    def quiet(self) -> StackChange:
        """The same without changes of tags alone: for drawings, and for what hangs on what."""
        changes = [replace(c, operation="same") if c.retags else c for c in self.changes]
        return replace(self, changes=changes)

    def changed(self) -> Iterator[Change]:
        """Everything that does not stay the same, most dangerous first, then by URN."""
        rank = {operation: index for index, operation in enumerate(OPERATIONS)}
        found = [change for change in self.changes if change.operation != "same"]
        yield from sorted(found, key=lambda change: (rank[change.operation], change.urn))
