"""Texts that others wrote, such as what a job printed, on a person's terminal."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it: escapes, and marks that turn the order of letters
around (ECMA-48; Unicode, UAX #9)."""


def plain(text: str) -> str:
    """A text that a terminal shows and does not obey."""
    return CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))
