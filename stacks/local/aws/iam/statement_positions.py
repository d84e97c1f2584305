"""Where the statements of a policy stand in its text, as IAM's simulator tells it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypedDict

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


class Position(TypedDict):
    """A place in a text, counted from 1 (IAM API reference, Position)."""

    Line: int
    Column: int


@lru_cache(maxsize=256)
def positions(text: str) -> tuple[tuple[Position, Position], ...]:
    """Beginning and end of each statement of a policy document, which is JSON."""
    found, begun, depth, listed, name, within = [], 0, 0, False, "", ""
    for token in TOKEN.finditer(text):
        sign = token[0]
        if sign == ":" and depth == 1:
            within = name
        elif sign == "[" and depth == 1:
            listed = True
        elif sign == "]" and depth == 1:
            listed = False
        elif sign == "{":
            depth += 1
            if depth == 2:
                begun = token.start()
        elif sign == "}":
            depth -= 1
            if depth == 1 and within == '"Statement"':
                found.append((_position(text, begun), _position(text, token.end() - 1)))
        elif depth == 1 and not listed:
            name = sign
    return tuple(found)


def _position(text: str, index: int) -> Position:
    return {
        "Line": text.count("\n", 0, index) + 1,
        "Column": index - text.rfind("\n", 0, index),
    }
