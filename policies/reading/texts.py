"""Texts that hold data, such as a definition or a script's settings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

Path = tuple[Any, ...]
"""Where something stands: the path of what holds it, and its name or index there; () is outermost.

It is written only for what has to be told: most of what is looked through never is.
"""


NESTED = frozenset((str, list, dict))
"""Kinds of plain data in which something may be found."""

HOLDING = NESTED - {str}
"""Kinds of plain data that hold others."""


def parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """What a mapping or a list holds, by its name or index."""
    return value.items() if type(value) is dict else enumerate(value)


def written(path: Path) -> str:
    """A path as it is told, such as `rules[0].port`."""
    if not path:
        return ""
    above, name = written(path[0]), path[1]
    if isinstance(name, int):
        return f"{above}[{name}]"
    return f"{above}.{name}" if above else str(name)


def is_meant_for_json(text: str) -> bool:
    """Whether a text begins like an object or a list; a template does, and is none."""
    return text.lstrip()[:1] in ("{", "[")


def json_of(text: str) -> Any:
    """The object or list that a text is in JSON; None where it is neither."""
    if not is_meant_for_json(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
