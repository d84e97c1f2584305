"""Files that a person writes or names: what is in them, or one line about what is wrong with them.

The text may be anybody's: longer than memory, nested without end, in other bytes than UTF-8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import UserError
from stacks.paths import shown

LIMIT_CHARACTERS = 2**28
"""Of a file that is read whole: a preview of thousands of resources has a tenth of them."""

YAML_DEPTH = 100
"""Of brackets in brackets, for which YAML's reader takes a time that grows with its square."""

DEEP = "must be nested less deeply"


def text_of(path: Path) -> str:
    """The text of a file; UserError where it is none."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(LIMIT_CHARACTERS + 1)
    except OSError as error:
        raise UserError(f"{shown(path)} must be a file, got {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{shown(path)} must be text in UTF-8, got other bytes") from None
    if len(text) > LIMIT_CHARACTERS:
        raise UserError(f"{shown(path)} must have at most {LIMIT_CHARACTERS} characters, got more")
    return text


def json_of(path: Path) -> Any:
    """What a JSON file says; ValueError says why it says nothing."""
    try:
        return json.loads(text_of(path))
    except RecursionError:
        raise ValueError(DEEP) from None


def yaml_of(path: Path, reader: Any) -> Mapping[str, Any]:
    """The mapping in a YAML file, as this reader of ruamel makes it; UserError where it is none."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    text, line = text_of(path), 1
    try:
        _refuse_deep(text)
        found = reader.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = f"must be YAML, got {error.problem}"
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"must be YAML, got a character that YAML has not: {error.character:#x}"
    except RecursionError:
        problem = DEEP
    except (YAMLError, ValueError) as error:  # of numbers, dates and bytes that are none
        problem = f"must be YAML, got {error}"
    else:
        return mapping(found, shown(path))
    raise UserError(f"{shown(path)}:{line} {problem}")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """A mapping whose keys are texts, an empty one for nothing; UserError where it is none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f"{where} must map keys to values, got {brief(value)}")
    wrong = [brief(key) for key in value if not isinstance(key, str)]
    if wrong:
        raise UserError(f"{where} must have texts as keys, got {', '.join(wrong)}")
    return value


def brief(value: Any) -> str:
    """A value for a message, of which a list may hold itself."""
    if isinstance(value, str | int | float | bool | None):
        return f"{value!r:.80}"
    return "a mapping" if isinstance(value, Mapping) else f"a {type(value).__name__.lower()}"


def _refuse_deep(text: str) -> None:
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > YAML_DEPTH:
            raise RecursionError
