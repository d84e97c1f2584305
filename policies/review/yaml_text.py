"""Configuration in a text of YAML, read so that a comment or another order is no difference.

Every value stays a text, as it is written: nothing is made of it that the program which reads it
might not make.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import Any

LONGEST = 50_000
"""Characters; what is longer is compared as it is written."""

REUSED = re.compile(r"(^|[\s\[{,:-])[&*!]\S|<<\s*:", re.M)
"""Anchors, tags and merges: what they come to depends on who reads them."""

DEEP = re.compile(r"(- ){9}")
FLOWS = 1_000
"""Brackets of one text: a reader takes time by the square of how deep they stand."""

SAID_FIRST = re.compile(r"%|#(!|cloud-config|\s*syntax\s*=)")
"""First lines that say what the rest is, and are no comment."""

FILLED = re.compile(r"\{\{|\{%|<%")
"""A place of a template, which is filled in before anybody takes a line for a comment."""

PROGRAM = re.compile(r"userdata|\.(py|sh|js|ts|rb|pl|lua|sql|r|ps1|bat|cmd|tcl|php)$")
"""Names of programs, in which a later line goes by an earlier one."""

PAIR = re.compile(r"^[ \t]*(- )?[\w./\"'-]+:(\s|$)", re.M)


def opened(path: tuple[str, ...], old: Any, new: Any) -> tuple[Any, Any]:
    """What two texts of YAML hold, or one and JSON; the same two where one is a program."""
    texts = any(isinstance(side, str) for side in (old, new))
    if not texts or any(PROGRAM.search(name.lower()) for name in path[-1:]):
        return old, new
    if path[-1].lower().endswith(".toml"):
        tables = [_toml(side) for side in (old, new)]
        return (old, new) if None in tables else (tables[0], tables[1])
    if path[-1].lower().endswith((".ini", ".cfg")):
        sections = [_sections(side) for side in (old, new)]
        return (old, new) if None in sections else (sections[0], sections[1])
    pairs = [_properties(side) for side in (old, new)]
    if None not in pairs:
        return pairs[0], pairs[1]
    if not all(isinstance(side, dict | list) or _is_text(side) for side in (old, new)):
        return old, new
    before, after = (_read(side) if isinstance(side, str) else side for side in (old, new))
    held = all(isinstance(side, dict | list) for side in (before, after))
    return (before, after) if held else (old, new)


READ = re.compile(r"\A#!|\$|`|^[ \t]*#.*coding[:=]|^[ \t]*#([^ \t#\n]*\b(include|import))", re.M)
"""Signs of a program, or of a value that is made of one before it, and comments that are read."""

NOTHING = "''"
"""What is said to be empty, and is not what nobody says."""

PROPERTY = re.compile(r"([\w.-]+)[ \t]*=[ \t]*(.*)(?<!\\)")


def _properties(side: Any) -> dict[str, str] | None:
    """What a text of `name = value` lines and comments says, where each name stands once.

    Blanks at the end of a line are a part of the value, and nothing at all is a value too (Java's
    API, Properties.load).
    """
    if not isinstance(side, str) or len(side) > LONGEST or "=" not in side or READ.search(side):
        return None
    lines = [line.lstrip() for line in side.split("\n") if line.strip()]
    found = [PROPERTY.fullmatch(line) for line in lines if line[0] not in "#;"]
    pairs = {line[1]: line[2] or NOTHING for line in found if line}
    return pairs if pairs and len(pairs) == len(found) else None


SECTION = re.compile(r"\[([^\[\]]+)\]")
ENTRY = re.compile(r"([^\s=:;#\[][^=:]*?)\s*[=:]\s*(.*)")


def _sections(side: Any) -> dict[str, dict[str, str]] | None:
    """What a file of sections says (Python's library reference, configparser); None: it is none.

    None too where a value goes on in the next line, or a name stands twice: readers differ there.
    """
    if not isinstance(side, str) or len(side) > LONGEST or READ.search(side):
        return None
    found: dict[str, dict[str, str]] = {}
    inner: dict[str, str] | None = None
    for line in side.splitlines():
        plain = line.strip()
        if not plain or (plain[0] in "#;" and not FILLED.search(plain)):
            continue
        head, entry = SECTION.fullmatch(plain), ENTRY.fullmatch(plain)
        if line[:1].isspace() or (head is None and entry is None):
            return None
        if head is not None and head[1] not in found:
            inner = found[head[1]] = {}
        elif head is None and entry is not None and inner is not None and entry[1] not in inner:
            inner[entry[1]] = entry[2] or NOTHING
        else:
            return None
    return found or None


def _toml(side: Any) -> Any:
    """What a text of TOML holds (toml.io, version 1.0.0); None: it is none."""
    if not isinstance(side, str) or len(side) > LONGEST or side.count("[") > FLOWS:
        return None
    try:
        return _written(tomllib.loads(side))
    except (ValueError, RecursionError):
        return None


def _written(value: Any) -> Any:
    """The same with every value as a text; a word in quotes is no flag and no number."""
    if isinstance(value, dict):
        return {name: _written(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_written(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return typed(value) or NOTHING if isinstance(value, str) else str(value)


def _is_text(side: Any) -> bool:
    return isinstance(side, str) and _may_be(side)


def _may_be(text: str) -> bool:
    return (
        0 < len(text) <= LONGEST
        and bool(PAIR.search(text))
        and not (SAID_FIRST.match(text) or _fills_a_comment(text))
        and not (REUSED.search(text) or DEEP.search(text))
        and text.count("[") + text.count("{") <= FLOWS
    )


def _fills_a_comment(text: str) -> bool:
    return any(FILLED.search(line.partition("#")[2]) for line in text.split("\n"))


def _read(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def typed(value: Any) -> Any:
    """What a text of JSON holds, with words in quotes where they would be a flag or a number."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if value is None:
        return "~"
    return f"'{value}'" if isinstance(value, str) and NUMBER.fullmatch(value) else value


NUMBER = re.compile(
    r"|true|false|null|[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?|0[xob][\da-f]+", re.I
)


@cache
def _loader() -> Any:
    """A reader of texts that keeps apart `no` and `'no'`, of which one is a flag and one a word."""
    import yaml

    base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    plain = yaml.resolver.Resolver()

    def scalar(loader: Any, node: Any) -> str:
        value = str(loader.construct_scalar(node))
        if not node.style:
            return value or "~"
        is_other = plain.resolve(yaml.ScalarNode, value, (True, False)) != WORD
        return f"'{value}'" if is_other else typed(value)

    def mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        found = base.construct_mapping(loader, node, deep)
        if len(found) < len(node.value):
            raise yaml.YAMLError("a name stands twice, and readers take the one or the other")
        return found

    made: Any = type("Texts", (base,), {"construct_mapping": mapping})
    made.add_constructor(WORD, scalar)
    return made


WORD = "tag:yaml.org,2002:str"
