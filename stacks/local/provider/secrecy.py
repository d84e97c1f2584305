"""Secrets on their way through a provider: what is made of one stays one.

An engine whose provider takes no secrets marks an output of the name of a secret input, and no
other. So this provider takes them, works with what they hold, and marks what comes back: the place
where a secret stood, and every text that holds one, however it is written there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"

SHORTEST = 4
"""Letters of a text that is looked for in others: a shorter one would be found by chance."""

HIDDEN = "[secret]"
"""Stands in messages for what an engine shows of a secret."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Secrets:
    """What is secret in a request."""

    paths: frozenset[Path] = field(default_factory=frozenset)
    texts: frozenset[str] = field(default_factory=frozenset)
    """Every text that stands in one, and the ways in which others write it."""

    def __or__(self, other: Secrets) -> Secrets:
        return Secrets(self.paths | other.paths, self.texts | other.texts)

    def in_text(self, text: str) -> bool:
        return any(secret in text for secret in self.texts)

    def masked(self, text: str) -> str:
        """A message without them."""
        for secret in sorted(self.texts, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


NONE = Secrets()


def secrets_of(structs: Iterable[struct_pb2.Struct]) -> Secrets:
    """The secrets in the properties of a request."""
    paths: set[Path] = set()
    texts: set[str] = set()
    for struct in structs:
        for path, value in _envelopes(struct):
            paths.add(path)
            texts |= {form for text in _texts(value) for form in _forms(text)}
    return Secrets(frozenset(paths), frozenset(texts))


def secrets_in(request: Any) -> Secrets:
    """Those in every property bag of a request."""
    bags = [value for _, value in request.ListFields() if isinstance(value, struct_pb2.Struct)]
    return secrets_of(bags)


def hide(value: Any, secrets: Secrets, path: Path = ()) -> Any:
    """The value with an envelope around each secret in it."""
    if value is None:
        return None
    if path in secrets.paths or (isinstance(value, str) and secrets.in_text(value)):
        return {SIGNATURE: SECRET, "value": value}
    if isinstance(value, Mapping):
        return {key: hide(item, secrets, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide(item, secrets, (*path, str(place))) for place, item in enumerate(value)]
    return value


def _envelopes(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, struct_pb2.Struct):
        if value.fields and value.fields.get(SIGNATURE) == struct_pb2.Value(string_value=SECRET):
            yield path, value.fields["value"]
            return
        for key, item in value.fields.items():
            yield from _envelopes(item, (*path, key))
    elif isinstance(value, struct_pb2.Value):
        kind = value.WhichOneof("kind")
        if kind in ("struct_value", "list_value"):
            yield from _envelopes(getattr(value, kind), path)
    elif isinstance(value, struct_pb2.ListValue):
        for place, item in enumerate(value.values):
            yield from _envelopes(item, (*path, str(place)))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a protobuf value, but the names of its members."""
    if isinstance(value, struct_pb2.Value):
        kind = value.WhichOneof("kind")
        if kind == "string_value":
            yield value.string_value
        elif kind in ("struct_value", "list_value"):
            yield from _texts(getattr(value, kind))
    elif isinstance(value, struct_pb2.Struct):
        for key, item in value.fields.items():
            if key != SIGNATURE:
                yield from _texts(item)
    elif isinstance(value, struct_pb2.ListValue):
        for item in value.values:
            yield from _texts(item)


def _forms(text: str) -> set[str]:
    """A text, and as JSON, in an address and in base64 write it."""
    if len(text) < SHORTEST:
        return set()
    coded = base64.b64encode(text.encode(errors="replace")).decode()
    return {text, json.dumps(text)[1:-1], quote(text, safe=""), coded}
