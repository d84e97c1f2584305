"""Texts that hold data, such as a definition or a script's settings."""

from __future__ import annotations

import json
from typing import Any


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
