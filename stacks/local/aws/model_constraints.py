"""What botocore's models say of the members of a request, and clients leave to the service.

Sources: the shapes' enums, patterns and bounds; the words are those in which AWS refuses. A pattern
of Java's that Python cannot read, or reads otherwise, is left open.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN_LETTERS = 200
FOREIGN = re.compile(r"\\p\{|\\uD8|\\uDC|&&")
"""In patterns that mean something else to Python, or nothing."""


def problems(value: Any, shape: Any, place: str = "") -> Iterator[str]:
    """What of a value its model does not allow; places are written `tags.1.member.key`."""
    if value is None:
        return
    for rule in _broken(shape, value):
        shown = _shown(shape, value)
        yield f"Value{shown} at '{place}' failed to satisfy constraint: Member must {rule}"
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, own in value.items():
            if name in shape.members:
                member = f"{place}.{name[:1].lower()}{name[1:]}".lstrip(".")
                yield from problems(own, shape.members[name], member)
    elif shape.type_name == "list" and isinstance(value, list | tuple):
        for number, own in enumerate(value, 1):
            yield from problems(own, shape.member, f"{place}.{number}.member")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, own in value.items():
            yield from problems(key, shape.key, f"{place}.key")
            yield from problems(own, shape.value, f"{place}.{key}.member")


def _shown(shape: Any, value: Any) -> str:
    """A value as it is told; of secrets and bytes nothing is."""
    if shape.metadata.get("sensitive") or isinstance(value, bytes):
        return ""
    text = str(value)
    return f" '{text if len(text) <= SHOWN_LETTERS else text[:SHOWN_LETTERS] + '...'}'"


def _broken(shape: Any, value: Any) -> Iterator[str]:
    """Rules of a model that a value breaks; that nothing is too short clients see to."""
    told = shape.metadata
    if isinstance(value, str):
        allowed = told.get("enum")
        if allowed and value not in allowed:
            yield f"satisfy enum value set: [{', '.join(allowed)}]"
        elif not _matches(told.get("pattern"), value):
            yield f"satisfy regular expression pattern: {told['pattern']}"
    if shape.type_name in ("structure", "boolean", "timestamp"):
        return
    is_sized = isinstance(value, str | bytes | list | tuple | Mapping)
    size, what = (len(value), "length") if is_sized else (value, "value")
    if not isinstance(size, int | float):
        return
    if size > told.get("max", size):
        yield f"have {what} less than or equal to {told['max']}"
    if size < told.get("min", size) and not (is_sized and size == 0):
        yield f"have {what} greater than or equal to {told['min']}"


def _matches(pattern: str | None, value: str) -> bool:
    compiled = _compiled(pattern) if pattern else None
    return compiled is None or compiled.fullmatch(value) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    if FOREIGN.search(pattern):
        return None
    try:
        return re.compile(pattern, re.DOTALL | re.ASCII)
    except re.error:
        return None
