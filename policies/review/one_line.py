"""Text of a program as one line that nothing can be done with: no escapes, no direction marks."""

from __future__ import annotations

from collections.abc import Mapping

UNSEEN = (
    *range(32),
    *range(127, 160),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x206A),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
)
"""Control characters, marks that turn the direction of a line, and characters of no width."""

_SPACES: Mapping[int, str] = {code: " " for code in (9, 10, 13, 0x2028, 0x2029)}
_LINE = {code: _SPACES.get(code, "") for code in UNSEEN}
_LINES = {**_LINE, 10: "\n"}


def one_line(text: str) -> str:
    """The text without anything that moves a cursor, opens a link or starts a line."""
    return text if text.isascii() and text.isprintable() else text.translate(_LINE)


def lines(text: str) -> str:
    """The same for a text of several lines."""
    return text.translate(_LINES)
