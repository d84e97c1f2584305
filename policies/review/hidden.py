"""Secrets: values that a review compares and never shows.

What is or was secret, on either side of a change, is hidden on both; so are the values of a
Kubernetes Secret, and those whose name says that they are one.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from policies.data import UNKNOWN, Data, Resource
from policies.reading.secrets import decoded, looks_like_one
from policies.secret_names import (
    KEY,
    LOOKS,
    SECRET,
    is_published,
    says_secret,
    secret_items,
    without_secrets,
    word_of,
)

_SALT = secrets.token_bytes(16)
"""Of this process: the mark of a secret is worth nothing to another."""

NAMES, VALUES = ("name", "key", "parametername"), ("value", "defaultvalue", "parametervalue")
"""How lists write a name and its value: environments of containers, parameters of pipelines."""

BY_TYPE: Mapping[str, tuple[str, ...]] = {"kubernetes:core/v1:Secret": ("data", "stringData")}
"""Type -> inputs whose every value is secret."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{24,}={0,2}\s*")
"""What may be a script of an instance, which EC2 takes in base64."""

Path = tuple[str, ...]


class Hidden(str):
    """A secret: reads as `[secret]`, and is equal only to the same secret."""

    mark: bytes
    looks = False
    """Whether a program wrote it in plain, and it looks like the key of a provider, or has one."""

    def __new__(cls, value: Any) -> Hidden:
        made = super().__new__(cls, SECRET)
        text = json.dumps(value, sort_keys=True, default=str)
        made.mark = blake2b(text.encode(errors="replace"), key=_SALT).digest()
        return made

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Hidden):
            return self.mark == other.mark
        return str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def of_envelope(envelope: Mapping[str, Any]) -> Hidden:
    """The secret in the engine's wrapping: its plain text if it is there, else its cipher."""
    text = envelope.get("plaintext", envelope.get("value"))
    if isinstance(text, str):
        try:
            return Hidden(json.loads(text))
        except (ValueError, RecursionError):
            return Hidden(text)
    return Hidden(text if text is not None else envelope.get("ciphertext"))


def hide(old: Resource | None, new: Resource | None) -> tuple[Resource | None, Resource | None]:
    """Both sides without anything that is secret on either of them."""
    old, new = _read(old), _read(new)
    sides = [side for side in (old, new) if side is not None]
    bags = [bag.value for side in sides for bag in (side.inputs, side.outputs)]
    paths = {path for bag in bags for path in _hidden(bag)}
    token = sides[0].type.removesuffix("Patch") if sides else ""
    paths |= {(name,) for name in BY_TYPE.get(token, ())}
    if not paths:
        return old, new
    return _without(old, paths), _without(new, paths)


def hide_plain(old: Any, new: Any) -> tuple[Any, Any]:
    """The same for two values, such as what a stack exports."""
    old, new = _in_texts(old), _in_texts(new)
    paths = {path for side in (old, new) for path in _hidden(side)}
    return (_masked(old, paths), _masked(new, paths)) if paths else (old, new)


def _read(side: Resource | None) -> Resource | None:
    """The resource, with secrets hidden that stand in texts which are JSON."""
    if side is None:
        return None
    inputs, outputs = (_in_texts(bag.value) for bag in (side.inputs, side.outputs))
    return replace(side, inputs=Data(inputs), outputs=Data(outputs))


def _in_texts(value: Any) -> Any:
    """Documents, definitions and settings that are text: only what is secret in them is replaced,
    by a mark that differs where the secret does."""
    if isinstance(value, Mapping):
        return {key: _in_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        secret = set(secret_items(value))
        return [_marked(Hidden(v)) if n in secret else _in_texts(v) for n, v in enumerate(value)]
    if not isinstance(value, str) or isinstance(value, Hidden):
        return value
    if value[:1] not in ("{", "["):
        return _in_text(value)
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return _in_text(value)
    inside = _in_texts(document)
    paths = set(_hidden(inside))
    found = _marked(_masked(inside, paths)) if paths else inside
    return value if found == document else json.dumps(found)


@lru_cache(8192)
def _in_text(text: str) -> str:
    """A script, settings or a command line; a script in base64 that holds a secret is one."""
    script = decoded(text) if _BASE64.fullmatch(text) else text
    found = without_secrets(script, _mark, settings="\n" in script)
    return found if script is text or found == script else _mark(text, looks=script)


def _mark(secret: str, looks: str = "") -> str:
    """Its mark, by which a rule still sees that it looked like the key of a provider."""
    mark = str(_marked(Hidden(secret)))
    return f"{KEY}{mark.rpartition(' ')[2]}" if LOOKS.search(looks or secret) else mark


def _marked(value: Any) -> Any:
    if isinstance(value, Hidden):
        return f"[secret {value.mark.hex()[:8]}]"
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def shown(value: Any) -> Any:
    """A value for a message: what is secret in it by its name is not."""
    paths = set(_hidden(value))
    return _masked(value, paths) if paths else value


def _without(side: Resource | None, paths: set[Path]) -> Resource | None:
    if side is None:
        return None
    inputs, outputs = (_masked(bag.value, paths) for bag in (side.inputs, side.outputs))
    return replace(side, inputs=Data(inputs), outputs=Data(outputs))


def _hidden(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where secrets stand; a list is one place, whatever the order of its elements."""
    if isinstance(value, Hidden):
        yield path
    elif isinstance(value, Mapping):
        named = _says_secret(value)
        for key, item in value.items():
            word = word_of(key)
            secret = says_secret(key) and not (isinstance(item, str) and is_published(key, item))
            if isinstance(item, str) and (secret or (named and word in VALUES)):
                yield (*path, key)
            elif not isinstance(item, str) or isinstance(item, Hidden):
                yield from _hidden(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _hidden(item, (*path, "[]"))


def _says_secret(item: Mapping[str, Any]) -> bool:
    """Whether an element of a list is a value whose name says that it is secret."""
    names = [name for key, name in item.items() if word_of(key) in NAMES and isinstance(name, str)]
    return any(map(says_secret, names))


def _masked(value: Any, paths: set[Path], path: Path = ()) -> Any:
    if path in paths:
        return _all_of(value)
    if isinstance(value, Mapping):
        return {key: _masked(item, paths, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, paths, (*path, "[]")) for item in value]
    return value


def _all_of(value: Any) -> Any:
    """Every value in it, with the names that they stand under."""
    if isinstance(value, Mapping):
        return {key: _all_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_all_of(item) for item in value]
    if value is None or value is UNKNOWN or isinstance(value, Hidden):
        return value
    made = Hidden(value)
    made.looks = isinstance(value, str) and looks_like_one(value)
    return made
