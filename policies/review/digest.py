"""Reads what the engine says about a preview: `pulumi preview --json` and the event stream.

The digest is one object with `steps` (pulumi, pkg/display/json.go), the stream one engine event
per line (PULUMI_ENABLE_STREAMING_JSON_PREVIEW, or the Automation API). Nothing is guessed: what
does not have the shape it must have is refused with its path: a review that misses a deletion is
worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from policies.data import UNKNOWN, Data, Options, Resource, plain
from policies.review.model import SECRET, Change, Kind, Operation, Property, StackChange
from policies.review.shape import (
    Malformed,
    documents,
    listed,
    mapping,
    readable,
    source_of,
    text_of,
)

STACK = "pulumi:pulumi:Stack"

MEANING: Mapping[str, Operation | None] = {
    "same": "same",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "discard-replaced": None,
    "read": "same",
    "read-replacement": "replace",
    "read-discard": None,
    "discard": None,
    "refresh": "same",
    "diff": None,
    "import": "create",
    "import-replacement": "replace",
    "remove-pending-replace": "delete",
}
"""Engine step -> what it means for the resource; None: nothing that a person would see."""

DRIFTED = ("update", "delete", "replace")
"""What a refresh comes to where the cloud is not what the state says."""

RANK: Mapping[Operation, int] = {"same": 0, "create": 1, "update": 2, "replace": 3, "delete": 4}
"""A resource with several steps is told by the most dangerous one."""

_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_SIGNATURE = "4dabf18193072939515e22adb298388d"


def read(text: str, env: str = "", *, commit: str = "", base: str = "state") -> StackChange:
    """A preview from its text: a digest, or one engine event per line.

    Raises Malformed with the path of what is wrong.
    """
    found = documents(text)
    readable(found)
    if len(found) == 1 and isinstance(found[0], Mapping) and "steps" in found[0]:
        return of_digest(found[0], env, commit=commit, base=base)
    return of_events(found, env, commit=commit, base=base)


def of_digest(
    digest: Mapping[str, Any], env: str = "", *, commit: str = "", base: str = "state"
) -> StackChange:
    """A preview from the object that `pulumi preview --json` prints."""
    steps = listed(digest.get("steps"), "steps")
    reader = _Reader()
    for index, step in enumerate(steps):
        where = f"steps[{index}]"
        reader.add(_Step.of_digest(mapping(step, where), where))
    warnings = ["the engine calls its output maybe corrupt"] if digest.get("maybeCorrupt") else []
    return reader.result("preview digest", env, commit, base, warnings)


def drift(text: str) -> list[str]:
    """URNs that a refresh found changed or gone, from the events or the digest of its preview.

    The engine tells what a refresh came to in the event after each step (`resOutputsEvent`).
    """
    found = set()
    for document in documents(text):
        readable(document)
        whole = mapping(document, "drift")
        steps = listed(whole.get("steps") or [], "steps")
        after = whole.get("resOutputsEvent")
        if after is not None:
            steps = [mapping(after, "resOutputsEvent").get("metadata")]
        for item in steps:
            step = mapping(item, "step")
            kind = str(step.get("type") or "")
            if step.get("op") in DRIFTED and not kind.startswith("pulumi:"):
                found.add(text_of(step.get("urn"), "step.urn"))
    return sorted(found)


def of_events(
    events: Iterable[Any], env: str = "", *, commit: str = "", base: str = "state"
) -> StackChange:
    """A preview from engine events, as JSON objects."""
    reader = _Reader()
    seen = 0
    for index, event in enumerate(events):
        where = f"event {index + 1}"
        seen += 1
        before = mapping(event, where).get("resourcePreEvent")
        if before is not None:
            metadata = mapping(before, f"{where}.resourcePreEvent").get("metadata")
            path = f"{where}.resourcePreEvent.metadata"
            reader.add(_Step.of_digest(_renamed(mapping(metadata, path)), path))
    if not seen:
        raise Malformed("a preview must be a digest with steps or engine events, got neither")
    return reader.result("event stream", env, commit, base, [])


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


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One engine step, checked."""

    operation: Operation | None
    urn: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    reasons: tuple[str, ...]
    detailed: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of_digest(cls, step: Mapping[str, Any], where: str) -> _Step:
        name, urn = text_of(step.get("op"), f"{where}.op"), text_of(step.get("urn"), f"{where}.urn")
        if name not in MEANING:
            raise Malformed(f"{where}.op must be one of {', '.join(MEANING)}, got {name!r}")
        if urn.count("::") < 3:
            raise Malformed(f"{where}.urn must be a URN, got {urn!r}")
        reasons = listed(step.get("replaceReasons") or [], f"{where}.replaceReasons")
        detailed = mapping(step.get("detailedDiff") or {}, f"{where}.detailedDiff")
        operation = MEANING[name]
        old = _state(step.get("oldState"), f"{where}.oldState")
        new = _state(step.get("newState"), f"{where}.newState")
        if operation in ("delete", "update", "replace") and old is None and new is None:
            raise Malformed(f"{where} must have an oldState or a newState for {name}, got neither")
        return cls(
            operation=operation,
            urn=urn,
            old=old,
            new=new,
            reasons=tuple(
                text_of(key, f"{where}.replaceReasons[{i}]") for i, key in enumerate(reasons)
            ),
            detailed={
                path: mapping(item, f"{where}.detailedDiff[{path!r}]")
                for path, item in detailed.items()
            },
        )


@dataclass
class _Reader:
    """Puts the steps of each resource together."""

    steps: dict[str, list[_Step]] = field(default_factory=dict)

    def add(self, step: _Step) -> None:
        if step.operation is not None:
            self.steps.setdefault(step.urn, []).append(step)

    def result(
        self,
        origin: Literal["preview digest", "event stream"],
        env: str,
        commit: str,
        base: str,
        warnings: list[str],
    ) -> StackChange:
        changes = []
        versions: dict[str, tuple[str, str]] = {}
        for urn, steps in sorted(self.steps.items()):
            kind = _type_of(urn)
            if kind.startswith("pulumi:providers:"):
                versions |= _version(kind.rpartition(":")[2], steps)
            if kind == STACK or kind.startswith("pulumi:providers:"):
                continue
            changes.append(_change(urn, steps))
        return StackChange(
            env=env or _env_of(self.steps),
            origin=origin,
            changes=changes,
            commit=commit,
            base=base,
            versions=versions,
            warnings=warnings,
        )


def _version(package: str, steps: list[_Step]) -> dict[str, tuple[str, str]]:
    """The version of a provider, where it exists already and becomes another."""
    found = [
        {str(state["inputs"].get("version") or "") for state in sides if state and state["inputs"]}
        for sides in ([s.old for s in steps], [s.new for s in steps])
    ]
    old, new = (max(names, default="") for names in found)
    return {f"provider {package}": (old, new)} if old and new and old != new else {}


def _change(urn: str, steps: list[_Step]) -> Change:
    operation: Operation = max((s.operation for s in steps if s.operation), key=RANK.__getitem__)
    if operation == "delete" and any(s.operation in ("create", "update") for s in steps):
        operation = "replace"
    old = next((s.old for s in steps if s.old is not None and s.operation != "create"), None)
    new = next((s.new for s in reversed(steps) if s.new is not None), None)
    if operation == "delete":
        old, new = old or new, None
    if operation == "create":
        old = None
    order = [s.operation == "replace" and s.new is None for s in steps]
    before, after = _resource(urn, old), _resource(urn, new)
    if before is None and after is None:
        raise Malformed(f"{operation} of {urn} must have the state that it is about, got none")
    return Change(
        operation=operation,
        urn=urn,
        type=_type_of(urn),
        name=urn.rpartition("::")[2],
        old=before,
        new=after,
        properties=_properties(steps, before, after) if operation in ("update", "replace") else (),
        delete_first=operation == "replace" and order[:1] == [True] and len(steps) > 1,
    )


def _properties(
    steps: list[_Step], old: Resource | None, new: Resource | None
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


def at(value: Any, path: str) -> Any:
    """What stands at a property path such as `rules[0].port` or `tags["a.b"]`; None: nothing."""
    for key in keys_of(path):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 7 and int(key) < len(value):
            value = value[int(key)]
        else:
            return value if value is UNKNOWN else None
    return value


def keys_of(path: str) -> list[str]:
    """The keys and indices of a property path."""
    keys, current, quoted = [], "", False
    for character in path:
        if character == '"':
            quoted = not quoted
        elif quoted or character not in ".[]":
            current += character
        elif current:
            keys.append(current)
            current = ""
    return [*keys, current] if current else keys


def _resource(urn: str, state: Mapping[str, Any] | None) -> Resource | None:
    if state is None:
        return None
    inputs, outputs = (_bag(state, key) for key in ("inputs", "outputs"))
    made = {"id": state["id"]} if state.get("id") else {}
    dependencies = state.get("propertyDependencies") or {}
    return Resource(
        type=_type_of(urn),
        name=urn.rpartition("::")[2],
        urn=urn,
        inputs=Data(inputs),
        outputs=Data({**inputs, **outputs, **made}),
        options=Options(
            protect=bool(state.get("protect")),
            retain_on_delete=bool(state.get("retainOnDelete")),
            ignore_changes=tuple(map(str, state.get("ignoreChanges") or ())),
        ),
        parent=state.get("parent") or None,
        dependencies={key: tuple(map(str, urns or ())) for key, urns in dependencies.items()},
        source=source_of(state),
    )


def _bag(state: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Inputs or outputs; a bag that is secret or unknown as a whole tells nothing."""
    found = _plain(state.get(key) or {})
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    """Plain data with every secret masked: what a review shows must never hold one."""
    if isinstance(value, Mapping):
        if value.get(_SIGNATURE) == _SECRET:
            return SECRET
        return plain(value) if _SIGNATURE in value else {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return plain(value)


def _type_of(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _env_of(urns: Iterable[str]) -> str:
    first = next(iter(urns), "")
    return first.split("::")[0].removeprefix("urn:pulumi:")


def _state(value: Any, where: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    state = mapping(value, where)
    for key in ("inputs", "outputs", "propertyDependencies"):
        if state.get(key) is not None:
            mapping(state[key], f"{where}.{key}")
    for key in ("id", "parent"):
        if state.get(key) is not None:
            text_of(state[key], f"{where}.{key}")
    if state.get("ignoreChanges") is not None:
        listed(state["ignoreChanges"], f"{where}.ignoreChanges")
    for key, urns in (state.get("propertyDependencies") or {}).items():
        listed(urns or [], f"{where}.propertyDependencies[{key!r}]")
    return state
