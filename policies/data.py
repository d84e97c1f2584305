"""A resource as rules see it: nested plain data that says "not known" instead of guessing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class _Sentinel(Enum):
    UNKNOWN = "unknown"
    HIDDEN = "hidden"


UNKNOWN = _Sentinel.UNKNOWN
"""Stands in plain data for a value that the engine will know only during the update."""


class Unknown(Exception):
    """The verdict depends on values that are not known yet."""

    def __init__(self, *paths: str) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths

    @property
    def why(self) -> str:
        """What is missing: values that the update makes, or facts that nobody here has."""
        later = [path for path in self.paths if not path.startswith(WHETHER)]
        never = [path for path in self.paths if path.startswith(WHETHER)]
        said = [f"not known before the update: {', '.join(later)}"] if later else []
        return "; ".join([*said, *(f"nobody here knows {fact}" for fact in never)])


WHETHER = "whether "
"""How a fact begins that no update makes known, such as what a service does."""


class RuleError(Exception):
    """A rule looked at something that its kind cannot see."""


@dataclass(frozen=True, slots=True)
class Data:
    """Nested plain data that knows its path and refuses to guess."""

    value: Any
    path: str = ""

    def get(self, *keys: str) -> Any:
        """The value at these keys or None; raises Unknown where any part is not known."""
        value = self._walk(keys)
        if type(value) in _NESTED and _has_unknown(value):
            raise Unknown(*unknown_paths(value, self._at(keys)))
        return value

    def at(self, *keys: str) -> Data:
        """The part at these keys, which may be None; raises Unknown where it is not known."""
        return Data(self._walk(keys), self._at(keys))

    def each(self, *keys: str) -> list[Data]:
        """The elements of a list; one may be unknown without hiding its neighbours."""
        value = self._walk(keys)
        if not value:
            return []
        path = self._at(keys)
        return [Data(item, f"{path}[{index}]") for index, item in enumerate(value)]

    def keys(self, *keys: str) -> set[str]:
        """The names in the mapping at these keys, whatever their values."""
        return set(self._walk(keys) or ())

    def has(self, *keys: str) -> bool:
        """Whether something is there; an unknown value may turn out to be nothing, so it raises.

        An empty text or list is nothing: AWS's APIs take it for one that was left out.
        """
        return self._walk(keys) not in (None, "", [])

    def _walk(self, keys: Sequence[str]) -> Any:
        """The value at these keys; the path is put together only for what has to be told."""
        value = self.value
        if value.__class__ is _Sentinel:
            self._refuse(value, ())
        for key in keys:
            if value is None:
                break
            value = value.get(key)
            if value is UNKNOWN:
                self._refuse(value, self._until_unknown(keys))
        return value

    def _until_unknown(self, keys: Sequence[str]) -> Sequence[str]:
        value = self.value
        for depth, key in enumerate(keys, 1):
            value = value[key]
            if value is UNKNOWN:
                return keys[:depth]
        return keys

    def _at(self, keys: Sequence[str]) -> str:
        return ".".join((self.path, *keys) if self.path else keys)

    def _refuse(self, value: Any, keys: Sequence[str]) -> None:
        path = self._at(keys)
        if value is _Sentinel.HIDDEN:
            raise RuleError(f"{path} cannot be seen by a rule of this kind")
        raise Unknown(path)


_NESTED = frozenset((dict, list))


def _has_unknown(value: dict[str, Any] | list[Any]) -> bool:
    """Whether there are unknown_paths; those are put together only where there are."""
    for item in value.values() if isinstance(value, dict) else value:
        if item is UNKNOWN or (type(item) in _NESTED and _has_unknown(item)):
            return True
    return False


def unknown_paths(value: Any, path: str = "") -> Iterator[str]:
    """Where in nested plain data values are unknown."""
    if value is UNKNOWN:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from unknown_paths(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_paths(item, f"{path}[{index}]")


HIDDEN_INPUTS = Data(_Sentinel.HIDDEN, "inputs")
HIDDEN_OUTPUTS = Data(_Sentinel.HIDDEN, "outputs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the program asked of the engine for one resource."""

    protect: bool = False
    retain_on_delete: bool | None = None
    """None where the front-end cannot see it (CrossGuard)."""
    ignore_changes: tuple[str, ...] = ()
    delete_before_replace: bool = False
    depends_on: tuple[str, ...] = ()
    """URNs of what exists before it and goes after it, as far as the source tells."""
    provider: str = ""
    """URN of the provider that manages it; one that the engine makes, without its version."""
    deleted_with: str = ""
    """URN of what takes it along, so that nobody deletes it by itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """The line of the program that registered a resource."""

    path: str
    """From the root of the repository."""
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One resource as a rule sees it, wherever it came from."""

    type: str
    name: str
    urn: str
    inputs: Data = HIDDEN_INPUTS
    """What the program asks for; rules of the kinds `resource` and `pipeline` read these."""
    outputs: Data = HIDDEN_OUTPUTS
    """What will be there; rules of the kind `stack` read these."""
    options: Options = Options()
    provider: Data = Data({}, "provider")
    """Inputs of the provider that manages the resource, for its default tags."""
    parent: str | None = None
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Property name -> URNs of the resources whose outputs it is computed from."""
    source: Source | None = None
    """Default: the front-end was given no stack frame of the program."""

    def tag(self, name: str) -> Any:
        """The value of a tag, its own or by default of its provider; None where it has none."""
        seen = self.outputs if self.inputs is HIDDEN_INPUTS else self.inputs
        if (own := seen.get("tags", name)) is not None:
            return own
        defaults = self.provider.get("defaultTags")
        if isinstance(defaults, str):  # provider inputs carry nested values as JSON text
            defaults = json.loads(defaults)
        return ((defaults or {}).get("tags") or {}).get(name)

    def showing(self, *, inputs: bool) -> Resource:
        """This resource with either its inputs or its outputs hidden."""
        return Resource(
            type=self.type,
            name=self.name,
            urn=self.urn,
            inputs=self.inputs if inputs else HIDDEN_INPUTS,
            outputs=HIDDEN_OUTPUTS if inputs else self.outputs,
            options=self.options,
            provider=self.provider,
            parent=self.parent,
            dependencies=self.dependencies,
            source=self.source,
        )


_UNKNOWN_ON_THE_WIRE = frozenset(
    (
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string, and anything in a preview digest
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    )
)
"""How the engine writes unknown values (pulumi, sdk/go/common/resource/plugin/rpc.go)."""

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_WRAPPED = frozenset(("1b47061264138c4ac30d75fd1eb44270", "d0e6a833031e9bbcd3f4e8bde6ca49a4"))
"""Signatures of a secret and of an output; both carry the value under `value`."""


def plain(value: Any) -> Any:
    """Plain data from the engine's wire form: unknowns as UNKNOWN, secrets and outputs opened.

    Assets, archives and resource references stay the mappings that they are.
    """
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWN_ON_THE_WIRE else value
    if isinstance(value, float) and value.is_integer():
        return int(value)  # the wire knows no integers
    if isinstance(value, Mapping):
        if value.get(_SIGNATURE) in _WRAPPED:
            return plain(value["value"]) if "value" in value else UNKNOWN
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
