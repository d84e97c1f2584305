"""The shape that a preview must have, and what is told of one that has another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from policies.data import Source

DEPTH_MAX = 100
"""Levels of nesting that a review follows: nothing that a program registers comes near it."""


class Malformed(ValueError):
    """The input does not have the shape of a preview; says where, and what must hold."""


def documents(text: str) -> list[Any]:
    """The JSON documents of a text: one, or one per line among lines that are none."""
    try:
        return [json.loads(text, object_pairs_hook=once)]
    except Malformed:
        raise
    except (ValueError, RecursionError):
        pass
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("{"):
            try:
                found.append(json.loads(line, object_pairs_hook=once))
            except Malformed:
                raise
            except (ValueError, RecursionError) as error:
                raise Malformed(f"line {number} must be JSON, got {error}") from None
    if not found:
        raise Malformed("a preview must be JSON, got none")
    return found


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; one that gives a key twice says two things, and a reader sees one of them."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Malformed(f"an object must give each key once, got {twice[:40]!r} twice")
    return found


def readable(documents: Any) -> None:
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


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{where} must be an object, got {type(value).__name__}")
    return value


def listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{where} must be a list, got {type(value).__name__}")
    return value


def text_of(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{where} must be text, got {type(value).__name__}")
    return value


def source_of(state: Mapping[str, Any]) -> Source | None:
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
