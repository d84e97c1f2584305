"""Reads what the engine says about a preview: `pulumi preview --json` and the event stream.

The digest is one object with `steps` (pulumi, pkg/display/json.go), the stream one engine event
per line (PULUMI_ENABLE_STREAMING_JSON_PREVIEW, or the Automation API). Nothing is guessed: what
does not have the shape it must have is refused with its path: a review that misses a deletion is
worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from policies.data import UNKNOWN, Data, Options, Resource, Source, plain
from policies.review.model import SECRET, Change, Kind, Operation, Property, StackChange

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

RANK: Mapping[Operation, int] = {"same": 0, "create": 1, "update": 2, "replace": 3, "delete": 4}
"""A resource with several steps is told by the most dangerous one."""

DEPTH_MAX = 100
"""Levels of nesting that a review follows: nothing that a program registers comes near it."""

_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_SIGNATURE = "4dabf18193072939515e22adb298388d"


class Malformed(ValueError):
    """The input does not have the shape of a preview; says where, and what must hold."""


def read(text: str, env: str = "", *, commit: str = "", base: str = "state") -> StackChange:
    """A preview from its text: a digest, or one engine event per line.

    Raises Malformed with the path of what is wrong.
    """
    documents = _documents(text)
    _readable(documents)
    if len(documents) == 1 and isinstance(documents[0], Mapping) and "steps" in documents[0]:
        return of_digest(documents[0], env, commit=commit, base=base)
    return of_events(documents, env, commit=commit, base=base)


def of_digest(
    digest: Mapping[str, Any], env: str = "", *, commit: str = "", base: str = "state"
) -> StackChange:
    """A preview from the object that `pulumi preview --json` prints."""
    steps = _list(digest.get("steps"), "steps")
    reader = _Reader()
    for index, step in enumerate(steps):
        where = f"steps[{index}]"
        reader.add(_Step.of_digest(_mapping(step, where), where))
    warnings = ["the engine calls its output maybe corrupt"] if digest.get("maybeCorrupt") else []
    return reader.result("preview digest", env, commit, base, warnings)


def of_events(
    events: Iterable[Any], env: str = "", *, commit: str = "", base: str = "state"
) -> StackChange:
    """A preview from engine events, as JSON objects."""
    reader = _Reader()
    seen = 0
    for index, event in enumerate(events):
        where = f"event {index + 1}"
        seen += 1
        before = _mapping(event, where).get("resourcePreEvent")
        if before is not None:
            metadata = _mapping(before, f"{where}.resourcePreEvent").get("metadata")
            path = f"{where}.resourcePreEvent.metadata"
            reader.add(_Step.of_digest(_renamed(_mapping(metadata, path)), path))
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
        name, urn = _text(step.get("op"), f"{where}.op"), _text(step.get("urn"), f"{where}.urn")
        if name not in MEANING:
            raise Malformed(f"{where}.op must be one of {', '.join(MEANING)}, got {name!r}")
        if urn.count("::") < 3:
            raise Malformed(f"{where}.urn must be a URN, got {urn!r}")
        reasons = _list(step.get("replaceReasons") or [], f"{where}.replaceReasons")
        detailed = _mapping(step.get("detailedDiff") or {}, f"{where}.detailedDiff")
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
                _text(key, f"{where}.replaceReasons[{i}]") for i, key in enumerate(reasons)
            ),
            detailed={
                path: _mapping(item, f"{where}.detailedDiff[{path!r}]")
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
        for urn, steps in sorted(self.steps.items()):
            kind = _type_of(urn)
            if kind == STACK or kind.startswith("pulumi:providers:"):
                continue
            changes.append(_change(urn, steps))
        return StackChange(
            env=env or _env_of(self.steps),
            origin=origin,
            changes=changes,
            commit=commit,
            base=base,
            warnings=warnings,
        )


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
        source=_source(state),
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


def _source(state: Mapping[str, Any]) -> Source | None:
    """The first stack frame inside the program, else where the resource was registered."""
    frames = [frame.get("sourcePosition") for frame in _frames(state)]
    for position in (*frames, state.get("sourcePosition")):
        found = _position(position)
        if found is not None:
            return found
    return None


def _frames(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    trace = state.get("stackTrace")
    return (
        [frame for frame in trace if isinstance(frame, Mapping)] if isinstance(trace, list) else []
    )


def _position(position: Any) -> Source | None:
    """`project:///stacks/composition/models.py#42` as path and line."""
    if not isinstance(position, str) or not position.startswith("project:///"):
        return None
    path, _, line = position.removeprefix("project:///").partition("#")
    if "site-packages" in path:
        return None
    number = line.partition(",")[0]
    return Source(unquote(path), int(number)) if number.isdecimal() and len(number) < 9 else None


def _type_of(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _env_of(urns: Iterable[str]) -> str:
    first = next(iter(urns), "")
    return first.split("::")[0].removeprefix("urn:pulumi:")


def _documents(text: str) -> list[Any]:
    """The JSON documents of a text: one, or one per line among lines that are none."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        pass
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("{"):
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise Malformed(f"line {number} must be JSON, got {error}") from None
    if not found:
        raise Malformed("a preview must be JSON, got none")
    return found


def _readable(documents: Any) -> None:
    """Neither so deep that a walk through it would end, nor half a character that no file holds."""
    todo = [(documents, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > DEPTH_MAX:
            raise Malformed(f"a preview must be nested at most {DEPTH_MAX} levels, got more")
        if isinstance(value, Mapping):
            todo += ((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list):
            todo += ((item, depth + 1) for item in value)
        elif isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Malformed(f"text must be Unicode, got {value[:40]!a}") from None


def _state(value: Any, where: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    state = _mapping(value, where)
    for key in ("inputs", "outputs", "propertyDependencies"):
        if state.get(key) is not None:
            _mapping(state[key], f"{where}.{key}")
    for key in ("id", "parent"):
        if state.get(key) is not None:
            _text(state[key], f"{where}.{key}")
    if state.get("ignoreChanges") is not None:
        _list(state["ignoreChanges"], f"{where}.ignoreChanges")
    for key, urns in (state.get("propertyDependencies") or {}).items():
        _list(urns or [], f"{where}.propertyDependencies[{key!r}]")
    return state


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{where} must be an object, got {type(value).__name__}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{where} must be a list, got {type(value).__name__}")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{where} must be text, got {type(value).__name__}")
    return value
