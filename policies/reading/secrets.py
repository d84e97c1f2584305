"""Values that are secrets by their names or by their looks, wherever plain text holds them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN, Data, Unknown

_NAME = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|(^|_)PASS|(^|_)PWD|SECRET|(API|ACCESS|PRIVATE|SECRET|AUTH|SIGNING"
    r"|ENCRYPTION)_?KEY(_?BASE)?|CREDENTIAL|(^|_)PAT|TOKEN)S?(_?\d+)?$",
    re.IGNORECASE,
)
"""How names of secrets end: `TOKEN_LIMIT` is a number, `MAX_TOKENS` too, `DBPASSWORD` is none."""

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

_LOOKS = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bhf_[A-Za-z0-9]{30}|\bsk-[A-Za-z0-9_-]{20}|://[^/\s:@]*:[^/\s@]+@|\bxox[abprs]-[\w-]{10}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|\bglpat-[\w-]{20}"
)
"""What providers' keys and signed tokens look like, and URLs with a password."""


def is_secret(name: str, value: object) -> bool:
    """Whether a value of this name is one; a text of JSON is looked into."""
    text = str(value if value is not None else "")
    if _LOOKS.search(text):
        return True
    if "\n" in text and any(is_secret(*pair) for pair in assigned(text)):
        return True
    if text[:1] in ("{", "[") and any(is_secret(*pair) for pair in _inside(text)):
        return True
    if not _NAME.search(name) or _COUNTED.search(name) or not text:
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
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from named_values(found)


def named_values(node: Any, name: str = "") -> Iterator[tuple[str, object]]:
    """Every value that is no container, with the nearest name; `{name:, value:}` is a pair.

    A text of JSON without a name is looked into.
    """
    if isinstance(node, str) and not name and node[:1] in ("{", "["):
        yield from _inside(node)
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
    found = {str(name) for name, value in named_values(data.value)
             if value is not UNKNOWN and is_secret(name, value)}  # fmt: skip
    later = [name for name, value in named_values(data.value)
             if value is UNKNOWN and is_secret(name, "unknown")]  # fmt: skip
    if later and not found:
        raise Unknown(*(f"{data.path}.{name}" for name in later))
    return sorted(found)


def decoded(script: object) -> str:
    """A script as text; the API takes it in base64, with or without lines."""
    text = str(script or "")
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
