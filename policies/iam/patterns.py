"""Texts of policy elements as patterns: wildcards, ARNs and policy variables.

Sources, all IAM user guide: "IAM JSON policy elements: Action" and "Resource" (wildcards), "IAM
policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

VARIABLE = re.compile(r"\$\{([^}]*)\}")
LITERAL = frozenset("*?$")
"""`${*}`, `${?}` and `${$}` are these characters themselves."""

DEFAULT = re.compile(r"(?P<key>[^,]+?)\s*,\s*'(?P<default>[^']*)'\s*")
ARN_PARTS = 6

Lookup = Callable[[str], "str | None"]
"""Name of a policy variable -> its value; None where the request has none."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with policy variables: pieces that are literal patterns, and names in between."""

    pieces: tuple[str, ...]
    names: tuple[tuple[str, str | None], ...]
    """Name of each variable and the value that stands in for a missing one."""

    def filled(self, lookup: Lookup) -> tuple[str, ...] | None:
        """Pieces and values in turn; None where a variable has no value."""
        found = [self.pieces[0]]
        for (name, default), piece in zip(self.names, self.pieces[1:], strict=True):
            value = name if name in LITERAL else lookup(name)
            if value is None:
                value = default
            if value is None:
                return None
            found += (value, piece)
        return tuple(found)


def template(text: str) -> Template | None:
    """The text as a template; None where it holds no variable."""
    parts = VARIABLE.split(text)
    if len(parts) == 1:
        return None
    names = []
    for inside in parts[1::2]:
        found = DEFAULT.fullmatch(inside)
        names.append((found["key"], found["default"]) if found else (inside.strip(), None))
    return Template(tuple(parts[::2]), tuple(names))


def like(text: str) -> str:
    """The regular expression of a text in which `*` and `?` are wildcards."""
    return "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in text)


def arn_like(text: str) -> str:
    """The regular expression of a Resource element.

    A wildcard stays within its segment of the ARN, the parts between colons; `*` as the last
    character of a segment reaches beyond. The resource itself may hold colons.
    """
    segments = text.split(":", ARN_PARTS - 1)
    return ":".join(
        like(segment) if index == ARN_PARTS - 1 else _segment(segment)
        for index, segment in enumerate(segments)
    )


def _segment(text: str) -> str:
    within = "".join(
        {"*": "[^:]*", "?": "[^:]"}.get(part, re.escape(part)) for part in text.removesuffix("*")
    )
    return within + (".*" if text.endswith("*") else "")


@lru_cache(maxsize=65_536)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def matches_like(value: str, pattern: str) -> bool:
    """Whether a value is like a text with wildcards; most have one at the end, or none."""
    start, wildcard, rest = pattern.partition("*")
    if not rest and "?" not in start:
        return value.startswith(start) if wildcard else value == start
    return _compiled(like(pattern)).fullmatch(value) is not None


def matches_filled(value: str, filled: tuple[str, ...], convert: Callable[[str], str]) -> bool:
    """Whether a value is like a filled template; wildcards in what was filled in are literal."""
    text, held = "", []
    for index, part in enumerate(filled):
        if index % 2:
            held.append(part)
            text += "\0"  # no policy may hold it
        else:
            text += part
    expression = convert(text)
    for part in held:
        expression = expression.replace(re.escape("\0"), re.escape(part), 1)
    return _compiled(expression).fullmatch(value) is not None


def matches_arn(value: str, pattern: str) -> bool:
    """Whether two ARNs are alike part by part, as ArnEquals and ArnLike compare them."""
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", ARN_PARTS - 1), value.split(":", ARN_PARTS - 1)
    if len(wanted) != ARN_PARTS or len(given) != ARN_PARTS:
        return False
    return all(matches_like(one, other) for one, other in zip(given, wanted, strict=True))


@dataclass(frozen=True, slots=True)
class Names:
    """A list of texts of which a value must be like one: exact ones first, for they are quick."""

    exact: frozenset[str]
    pattern: re.Pattern[str] | None
    templates: tuple[Template, ...]

    def holds(self, value: str) -> bool:
        """Whether one that has no variable matches."""
        return value in self.exact or (
            self.pattern is not None and self.pattern.fullmatch(value) is not None
        )


def names_of(texts: Iterable[str], convert: Callable[[str], str], *, variables: bool) -> Names:
    """Texts compiled; `convert` makes a regular expression of one."""
    exact, wild, templates = set(), [], []
    for text in texts:
        held = template(text) if variables else None
        if held is not None:
            templates.append(held)
        elif "*" in text or "?" in text:
            wild.append(f"(?:{convert(text)})")
        else:
            exact.add(text)
    pattern = re.compile("|".join(wild), re.DOTALL) if wild else None
    return Names(frozenset(exact), pattern, tuple(templates))
