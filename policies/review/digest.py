"""Reads what the engine says about a preview: `pulumi preview --json` and the event stream.

The digest is one object with `steps` (pulumi, pkg/display/json.go), the stream one engine event
per line (PULUMI_ENABLE_STREAMING_JSON_PREVIEW, or the Automation API). Nothing is guessed: what
does not have the shape it must have is refused with its path: a review that misses a deletion is
worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from policies.data import UNKNOWN, Resource
from policies.review.differences import leaves
from policies.review.hidden import Hidden, hide, hide_plain
from policies.review.model import Change, Kind, Operation, Property, StackChange, lifted
from policies.review.providers import moved, otherwise, versions
from policies.review.shape import (
    Malformed,
    documents,
    listed,
    mapping,
    readable,
)
from policies.review.states import at, masked, resource_of, state_of, type_of
from policies.review.steps import Step
from policies.review.whole import counted, of_one_stack, refuse_others

STACK = "pulumi:pulumi:Stack"

RANK: Mapping[Operation, int] = {"same": 0, "create": 1, "update": 2, "replace": 3, "delete": 4}
"""A resource with several steps is told by the most dangerous one."""


def read(text: str, env: str = "", *, commit: str = "", base: str = "state") -> StackChange:
    """A preview from its text: a digest, or one engine event per line.

    Raises Malformed with the path of what is wrong.
    """
    found = documents(text)
    readable(found)
    if len(found) == 1 and isinstance(found[0], Mapping):
        if "steps" in found[0] or "changeSummary" in found[0]:
            return of_digest(found[0], env, commit=commit, base=base)
        refuse_others(found[0])
    return of_events(found, env, commit=commit, base=base)


def of_digest(
    digest: Mapping[str, Any], env: str = "", *, commit: str = "", base: str = "state"
) -> StackChange:
    """A preview from the object that `pulumi preview --json` prints."""
    # the engine leaves out a list without elements: a digest of no change has counts alone
    steps = listed(digest.get("steps", [] if digest.get("changeSummary") else None), "steps")
    reader = _Reader()
    for index, step in enumerate(steps):
        where = f"steps[{index}]"
        reader.add(Step.of_digest(mapping(step, where), where))
    for index, item in enumerate(listed(digest.get("diagnostics") or [], "diagnostics")):
        reader.hear(mapping(item, f"diagnostics[{index}]"))
    counted(digest.get("changeSummary"), steps, "changeSummary")
    if digest.get("maybeCorrupt"):
        reader.doubts.append("the engine calls its own output maybe corrupt")
    if not steps and not digest.get("changeSummary"):
        reader.doubts.append("the preview has neither steps nor counts")
    warnings = list(_left_out(digest, steps))
    return reader.result("preview digest", env, commit, base, warnings)


def _left_out(digest: Mapping[str, Any], steps: list[Any]) -> Iterator[str]:
    """Totals of a digest that tells only what changes are those of a part of the stack."""
    counted = mapping(digest.get("changeSummary") or {}, "changeSummary").get("same")
    told = sum(step["op"] == "same" for step in steps)
    if isinstance(counted, int) and counted > told:
        yield (
            f"the digest leaves out {counted - told} resources that stay the same: costs, GPUs, "
            "policies and what hangs on a change are without them; preview with --show-sames"
        )


def of_events(
    events: Iterable[Any], env: str = "", *, commit: str = "", base: str = "state"
) -> StackChange:
    """A preview from engine events, as JSON objects."""
    reader = _Reader()
    seen, steps, ended = 0, [], None
    for index, event in enumerate(events):
        where = f"event {index + 1}"
        seen += 1
        before = mapping(event, where).get("resourcePreEvent")
        if before is not None:
            metadata = mapping(before, f"{where}.resourcePreEvent").get("metadata")
            path = f"{where}.resourcePreEvent.metadata"
            steps.append(mapping(metadata, path))
            reader.add(Step.of_digest(_renamed(mapping(metadata, path)), path), final=False)
        after = event.get("resOutputsEvent")
        if after is not None:
            reader.ended(mapping(after, f"{where}.resOutputsEvent").get("metadata"), where)
        if event.get("diagnosticEvent") is not None:
            reader.hear(mapping(event["diagnosticEvent"], f"{where}.diagnosticEvent"))
        if event.get("summaryEvent") is not None:
            ended = mapping(event["summaryEvent"], f"{where}.summaryEvent")
    if not seen:
        raise Malformed("a preview must be a digest with steps or engine events, got neither")
    if ended is None and not reader.errors:
        raise Malformed("a stream of events must end with its summaryEvent, got none: it is cut")
    counted((ended or {}).get("resourceChanges"), steps, "summaryEvent.resourceChanges")
    return reader.result("event stream", env, commit, base, [NO_EDGES])


NO_EDGES = (
    "an event stream tells neither dependencies nor lines of the program: what is behind a change "
    "is not known"
)


def _renamed(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of an event under the names of a digest's step."""
    return {
        "op": metadata.get("op"),
        "urn": metadata.get("urn"),
        "oldState": metadata.get("old"),
        "newState": metadata.get("new"),
        "replaceReasons": metadata.get("keys"),
        "detailedDiff": metadata.get("detailedDiff"),
    }


@dataclass
class _Reader:
    """Puts the steps of each resource together."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    drifted: list[str] = field(default_factory=list)
    pending: dict[str, Resource] = field(default_factory=dict)
    outputs: tuple[Mapping[str, Any], Mapping[str, Any] | None] = ({}, None)

    def add(self, step: Step, *, final: bool = True) -> None:
        if type_of(step.urn) == STACK:
            self._outputs(step.old, step.new if final else None)
        elif step.skipped:
            self.skipped.append(step.urn)
        elif step.is_pending:
            left = resource_of(step.urn, step.old)
            if left is not None:
                self.pending[step.urn] = left
        elif step.operation is not None:
            if step.drifts:
                self.drifted.append(step.urn)
            self.steps.setdefault(step.urn, []).append(step)

    def ended(self, metadata: Any, where: str) -> None:
        """The end of a step: for the stack's own, its outputs are what the program exports."""
        step = metadata if isinstance(metadata, Mapping) else {}
        if step.get("type") == STACK:
            path = f"{where}.resOutputsEvent.metadata"
            states = (state_of(step.get(key), f"{path}.{key}") for key in ("old", "new"))
            self._outputs(*states)

    def _outputs(self, *states: Mapping[str, Any] | None) -> None:
        before, after = (masked(state.get("outputs")) if state else None for state in states)
        before, after = hide_plain(before, after)
        self.outputs = (before or {}, after)

    def hear(self, diagnostic: Mapping[str, Any]) -> None:
        """Keep what the engine calls an error: such a preview ended early."""
        if diagnostic.get("severity") == "error":
            self.errors.append(" ".join(str(diagnostic.get("message") or "no message").split()))

    def result(
        self,
        origin: Literal["preview digest", "event stream"],
        env: str,
        commit: str,
        base: str,
        warnings: list[str],
    ) -> StackChange:
        of_one_stack([*self.steps, *self.pending], env)
        changes = []
        providers: dict[str, list[Step]] = {}
        gone: list[str] = []
        other: list[str] = []
        for urn, steps in sorted(self.steps.items()):
            kind = type_of(urn)
            if kind.startswith("pulumi:providers:"):
                providers.setdefault(kind.rpartition(":")[2], []).extend(steps)
                gone += moved(urn, steps, self.steps)
                other += otherwise(urn, steps)
            else:
                changes.append(_change(urn, steps))
        return StackChange(
            env=env or _env_of(self.steps),
            origin=origin,
            changes=changes,
            commit=commit,
            base=base,
            versions=dict(pair for item in providers.items() for pair in versions(*item)),
            failures=list(dict.fromkeys(self.errors)),
            doubts=self.doubts,
            moved=gone,
            reconfigured=other,
            drifted=sorted(set(self.drifted)),
            pending=self.pending,
            skipped=sorted(self.skipped),
            outputs_before=self.outputs[0],
            outputs_after=self.outputs[1],
            warnings=warnings,
        )


def _change(urn: str, steps: list[Step]) -> Change:
    operation: Operation = max((s.operation for s in steps if s.operation), key=RANK.__getitem__)
    if operation == "delete" and any(s.operation in ("create", "update") for s in steps):
        operation = "replace"
    old = next((s.old for s in steps if s.old is not None and s.operation != "create"), None)
    new = next((s.new for s in reversed(steps) if s.new is not None), None)
    if operation == "delete":
        old, new = old or new, None
    if operation == "create":
        old = None
    stays = operation in ("same", "update")
    before = resource_of(urn, old)
    after = resource_of(urn, new, of=old if stays else None, fresh=not stays)
    before, after = hide(before, after)
    if before is None and after is None:
        raise Malformed(f"{operation} of {urn} must have the state that it is about, got none")
    if (
        operation == "same"
        and before
        and after
        and (lifted(before, after) or _lies(steps, before, after))
    ):
        operation = "update"  # the engine calls it the same: no property differs
    return Change(
        operation=operation,
        urn=urn,
        type=type_of(urn),
        name=urn.rpartition("::")[2],
        old=before,
        new=after,
        properties=_properties(steps, before, after) if operation in ("update", "replace") else (),
        delete_first=operation == "replace" and _gap(steps),
        imported=any(step.name.startswith("import") for step in steps),
        external=all((step.new or step.old or {}).get("external") is True for step in steps),
        component=all((step.new or step.old or {}).get("custom") is False for step in steps),
    )


def _lies(steps: Sequence[Step], before: Resource, after: Resource) -> bool:
    """Whether what is called the same has other inputs; of a secret nobody can tell."""
    one, two = before.inputs.value, after.inputs.value
    if one == two or any(step.name != "same" for step in steps):
        return False
    found = leaves(one, two, (), lambda path, items: False)
    return any(not isinstance(side, Hidden) for leaf in found for side in (leaf.old, leaf.new))


def _gap(steps: Sequence[Step]) -> bool:
    """Whether the old one goes before the new one is there: by the order of the steps, and where a
    digest has only one of them by the mark that the engine leaves on the old one."""
    first = steps[0]
    deleted = first.operation == "replace" and first.new is None and len(steps) > 1
    return deleted or any((step.old or {}).get("pendingReplacement") is True for step in steps)


def _properties(
    steps: list[Step], old: Resource | None, new: Resource | None
) -> tuple[Property, ...]:
    """What differs, as the engine told it, else by the inputs themselves."""
    before = old.inputs.value if old else {}
    after = new.inputs.value if new else {}
    reasons = {reason for step in steps for reason in step.reasons}
    detailed = {path: item for step in steps for path, item in step.detailed.items()}
    found = []
    for path in sorted(detailed):
        word = str(detailed[path].get("kind") or detailed[path].get("diffKind") or "update")
        kind: Kind = next((k for k in ("add", "delete") if word.startswith(k)), "update")
        replaces = word.endswith("replace") or path in reasons
        found.append(_property(path, kind, replaces, before, after))
    told = {item.root for item in found}
    for key in sorted({*before, *after} - told):
        if before.get(key) != after.get(key) or key in reasons:
            kind = (
                "update" if key in before and key in after else "add" if key in after else "delete"
            )
            found.append(_property(key, kind, key in reasons, before, after))
    # a reason that no known difference explains stays visible
    named = {item.path for item in found} | {item.root for item in found}
    found += [_property(key, "update", True, before, after) for key in sorted(reasons - named)]
    return tuple(
        item
        if item.replaces or item.root not in reasons
        else _property(item.path, item.kind, True, before, after)
        for item in found
    )


def _property(
    path: str, kind: Kind, replaces: bool, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Property:
    old, new = at(before, path), at(after, path)
    return Property(
        path=path, kind=kind, replaces=replaces, known=new is not UNKNOWN, old=old, new=new
    )


def _env_of(urns: Iterable[str]) -> str:
    first = next(iter(urns), "")
    return first.split("::")[0].removeprefix("urn:pulumi:")
