"""Values that are secrets by their names or by their looks, wherever plain text holds them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from policies.data import UNKNOWN, Data, Unknown
from policies.reading.texts import json_of
from policies.secret_names import KEY, LOOKS, MARKS

_NAME = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|(^|_)PASS|(^|_)PWD|SECRET|(API|ACCESS|PRIVATE|SECRET|AUTH|SIGNING"
    r"|ENCRYPTION)_?KEY(_?BASE)?|CREDENTIAL|(^|_)PAT|TOKEN)S?(_?\d+)?$",
    re.IGNORECASE,
)
"""How names of secrets end: `TOKEN_LIMIT` is a number, `MAX_TOKENS` too, `DBPASSWORD` is none."""

_QUOTED = re.compile(r"""[\\"']([\w.-]+)\\*["']""")
"""What may be a name in a text of JSON, however often its quotes are escaped."""

_COUNTED = re.compile(
    r"(MAX|MIN|NUM|NEW|TOTAL|LIMIT|N)_?(\w+_)?TOKENS$"
    r"|(PAD|EOS|BOS|UNK|SEP|CLS|MASK|STOP|END|START)_?TOKEN$",
    re.IGNORECASE,
)
"""Tokens of language, which are counted or mark the end of a text, are nobody's secret."""

_REFERENCE = re.compile(r"arn:[\w-]+:|/[\w.-]+(/[\w.-]+)*$|\$[({]|\{\{|(true|false|none|null)?$",
                        re.IGNORECASE)  # fmt: skip
"""Values that say where a secret is: an ARN, the name of a parameter or file, a variable."""

_CODE = re.compile(r"(PASSWORD|PASSWD|PASS|PWD)(_?\d+)?$", re.IGNORECASE)
"""Names whose values may be a number and a secret all the same."""

_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+|\[secret [\w ]+\])@")
"""A URL with a password, or with the mark of one that is hidden."""


_SHORTEST = 6
"""Characters of the shortest text that looks like one, `://:x@`."""


@lru_cache(8192)
def _names_one(name: str) -> bool:
    return bool(_NAME.search(name)) and not _COUNTED.search(name)


def looks_like_one(text: str) -> bool:
    """Whether it is, or holds, what providers' keys look like, or a URL with a password."""
    marked = any(mark in text for mark in MARKS)
    return KEY in text or bool(_URL.search(text) or (marked and LOOKS.search(text)))


def is_secret(name: str, value: object) -> bool:
    """Whether a value of this name is one; a text of JSON is looked into."""
    text = str(value if value is not None else "")
    hidden = getattr(value, "looks", False)  # by a review (policies/review/hidden.py)
    if hidden or (len(text) >= _SHORTEST and looks_like_one(text)):
        return True
    if "\n" in text and any(is_secret(*pair) for pair in assigned(text)):
        return True
    if any(is_secret(*pair) for pair in _inside(text)):
        return True
    if not text or not _names_one(name):
        return False
    if text.isdigit():
        return bool(_CODE.search(name))
    return not _REFERENCE.match(text)


_ASSIGNS = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*[=:][ \t]*(\S.*?)[ \t]*$", re.MULTILINE
)


def assigned(text: str) -> Iterator[tuple[str, str]]:
    """What the lines of a script or of settings assign, name by name."""
    for name, value in _ASSIGNS.findall(text):
        yield name, value.strip("\"',")


def _inside(text: str) -> Iterator[tuple[str, object]]:
    if (found := json_of(text)) is not None:
        yield from named_values(found)


def named_values(node: Any, name: str = "") -> Iterator[tuple[str, object]]:
    """Every value that is no container, with the nearest name; `{name:, value:}` is a pair.

    A text of JSON without a name is looked into.
    """
    if isinstance(node, str) and not name and (inner := json_of(node)) is not None:
        yield from named_values(inner)
        return
    if isinstance(node, Mapping):
        if isinstance(node.get("name"), str) and "value" in node:
            yield from named_values(node["value"], node["name"])
            return
        for key, item in node.items():
            yield from named_values(item, str(key))
    elif isinstance(node, list):
        for item in node:
            yield from named_values(item, name)
    elif node is not None:
        yield name, node


def secrets_in(data: Data) -> list[str]:
    """The names of secrets in plain data; Unknown where one would be but is not known yet."""
    if isinstance(data.value, str):
        return list(_in_text(data.value))
    found, later = _in(data.value)
    if later and not found:
        raise Unknown(*(f"{data.path}.{name}" for name in later))
    return sorted(found)


@lru_cache(512)
def _in_text(text: str) -> tuple[str, ...]:
    """Of a text, such as a pipeline's definition; most hold nothing that could be one."""
    if not (
        "\n" in text
        or "\\n" in text
        or any(map(_names_one, set(_QUOTED.findall(text))))
        or looks_like_one(text)
    ):
        return ()
    return tuple(sorted(_in(text)[0]))


def _in(node: Any) -> tuple[set[str], list[str]]:
    """Names of secrets, and of values not yet known that would be some."""
    found, later = set(), []
    for name, value in named_values(node):
        if value is UNKNOWN:
            later += [name] if is_secret(name, "unknown") else []
        elif is_secret(name, value):
            found.add(str(name))
    return found, later


def decoded(script: object) -> str:
    """A script as text; the API takes it in base64, with or without lines."""
    text = str(script or "")
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
