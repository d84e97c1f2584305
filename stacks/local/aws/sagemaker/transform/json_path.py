"""The part of JSONPath by which a transform job picks what is asked and what is kept.

Source: developer guide, "Associate prediction results with input records", supported JSONPath
operators. Its text calls the end of a slice inclusive; JSONPath, to which it refers, and AWS's own
samples (`$[:-1]` leaves out a label that stands last) do not, and neither does this.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple


class PathError(ValueError):
    """A path that cannot be read, or that finds nothing."""


class Names(NamedTuple):
    """`.name` or `['name', 'name']`."""

    names: tuple[str, ...]


class Indexes(NamedTuple):
    """`[0]` or `[0,-1]`."""

    indexes: tuple[int, ...]


class Span(NamedTuple):
    """`[1:]`."""

    start: int | None
    end: int | None


class Every(NamedTuple):
    """`.*` or `[*]`."""


Step = Names | Indexes | Span | Every
Path = tuple[Step, ...]

_TOKEN = re.compile(r"\.\*|\.?\[([^\]]*)\]|\.([^.\[\]'\"\s*]+)")
_QUOTED = r"""'[^']*'|"[^"]*\""""
_NAMES = re.compile(rf"\s*(?:{_QUOTED})\s*(?:,\s*(?:{_QUOTED})\s*)*")
_INDEXES = re.compile(r"\s*-?\d+\s*(?:,\s*-?\d+\s*)*")
_SPAN = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*")


def parse(text: str) -> Path:
    """The steps of a path; none: everything is meant."""
    if not text.startswith("$"):
        raise PathError(f"Invalid JsonPath: {text}: it must start with $")
    steps: list[Step] = []
    position = 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise PathError(f"Invalid JsonPath: {text}: cannot be read from {text[position:]!r}")
        steps.append(_step(text, *match.groups()))
        position = match.end()
    if any(isinstance(step, Names) and len(step.names) > 1 for step in steps[:-1]):
        raise PathError(f"Invalid JsonPath: {text}: nothing can follow several names")
    return tuple(steps)


def select(value: Any, path: Path) -> Any:
    """What a path finds in a value."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, Names):
        found = {name: _member(value, name) for name in step.names}
        return found if len(found) > 1 else select(found[step.names[0]], rest)
    items = _items(value, step)
    if isinstance(step, Indexes) and len(step.indexes) == 1:
        return select(items[0], rest)
    return [select(item, rest) for item in items]


def _items(value: Any, step: Indexes | Span | Every) -> list[Any]:
    if isinstance(step, Every) and isinstance(value, Mapping):
        return list(value.values())
    if not isinstance(value, list):
        raise PathError("an index is asked of what is no JSON array and no row of CSV")
    if isinstance(step, Indexes):
        return [_element(value, index) for index in step.indexes]
    return value[step.start : step.end] if isinstance(step, Span) else value


def _step(text: str, bracket: str | None, name: str | None) -> Step:
    if name is not None:
        return Names((name,))
    if bracket is None or bracket.strip() == "*":
        return Every()
    if _NAMES.fullmatch(bracket):
        return Names(tuple(part[1:-1] for part in re.findall(_QUOTED, bracket)))
    if _INDEXES.fullmatch(bracket):
        return Indexes(tuple(int(part) for part in bracket.split(",")))
    if span := _SPAN.fullmatch(bracket):
        start, end = (None if part is None else int(part) for part in span.groups())
        return Span(start, end)
    raise PathError(  # SageMaker's words (aws/sagemaker-python-sdk#1112)
        f"Invalid JsonPath: {text}: only single range filters of format (eg: [1:5]) are supported. "
        f"Format [{bracket}] is not supported"
    )


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise PathError(f"{name!r} is asked of what is no JSON object")
    if name not in value:
        raise PathError(f"there is no attribute {name!r}")
    return value[name]


def _element(array: list[Any], index: int) -> Any:
    if not -len(array) <= index < len(array):
        raise PathError(f"index {index} is not within the {len(array)} elements")
    return array[index]
