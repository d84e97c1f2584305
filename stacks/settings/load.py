"""Reads an environment's file: a wrong key is refused with its line and the nearest right key,
before any resource exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from infra.errors import UserError
from stacks.paths import ENVIRONMENTS, ROOT
from stacks.settings.model import Settings


def stack_file(env: str) -> Path:
    """The environment's file."""
    return ENVIRONMENTS / f"Pulumi.{env}.yaml"


def shown(path: Path) -> str:
    """A path as the person sees it: from the root of the repository where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def environments() -> list[str]:
    """Names of the environments that have a file."""
    names = (re.fullmatch(r"Pulumi\.(.+)\.yaml", path.name) for path in ENVIRONMENTS.iterdir())
    return sorted(match.group(1) for match in names if match)


def load(env: str, path: Path | None = None) -> Settings:
    """Settings of an environment; UserError (file:line, what must hold) when they are wrong."""
    path = path or stack_file(env)
    if not path.exists():
        raise UserError(
            f"environment must be one of {', '.join(environments())}, got {env!r}",
            fix=f"write {shown(path)}, or name one of these",
        )
    config, lines = _read(path)
    try:
        settings = Settings.model_validate(config)
    except ValidationError as error:
        raise UserError("\n".join(_problems(path, lines, error))) from None
    own, shared = settings.account.account_id, settings.accounts.environments.get(env)
    if shared not in (None, own):
        line = lines["accounts",]
        raise UserError(
            f"{shown(path)}:{line}: plinth:accounts.environments.{env} must be "
            f"plinth:account.account_id {own!r}, got {shared!r}",
            fix="give the environment one account in both places",
        )
    return settings


def round_trip_yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()  # round trip: comments, order and quotes survive
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), _null)  # as it was written, not as nothing
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The `plinth:` objects of a stack file and the line of every key in them."""
    from ruamel.yaml.error import MarkedYAMLError

    try:
        document = round_trip_yaml().load(path.read_text()) or {}
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{shown(path)}:{line} must be YAML, got {error.problem}") from None
    config: Any = document.get("config") or {}
    lines: dict[tuple[str, ...], int] = {}
    values: dict[str, Any] = {}
    for key, value in config.items():
        if not key.startswith("plinth:"):
            continue
        name = key.removeprefix("plinth:")
        values[name] = value
        lines[(name,)] = config.lc.key(key)[0] + 1
        lines.update({(name, *rest): line for rest, line in _lines(value)})
    return values, lines


def _lines(value: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(value, Mapping) and hasattr(value, "lc"):
        for key, child in value.items():
            yield (str(key),), value.lc.key(key)[0] + 1
            yield from (((str(key), *rest), line) for rest, line in _lines(child))


UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic says of a key that is none, in a model and in a dataclass."""


def _problems(
    path: Path, lines: Mapping[tuple[str, ...], int], error: ValidationError
) -> Iterator[str]:
    """One line per problem; a key that is missing because it is misspelt is told once."""
    meant = set()
    # unknown keys first: they explain which required key is missing
    for item in sorted(error.errors(), key=lambda item: item["type"] not in UNKNOWN_KEY):
        where = tuple(str(part) for part in item["loc"])
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), 1)
        place = f"{shown(path)}:{line}: plinth:{'.'.join(where)}"
        if item["type"] in UNKNOWN_KEY:
            known = _keys(where[:-1])
            near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0)
            nearest = (*where[:-1], *near)
            meant.add(nearest)
            yield f"{place} is not a setting; the nearest is plinth:{'.'.join(nearest)}"
        elif item["type"] == "missing":
            if where not in meant:
                yield f"{place} is missing"
        else:
            message = item["msg"].removeprefix("Value error, ").replace("tuple", "list")
            got = f", got {item['input']!r}" if item["type"] != "value_error" else ""
            yield f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _keys(where: tuple[str, ...]) -> list[str]:
    """The keys that the object at this path may have."""
    model: Any = Settings
    for part in where:
        field = _fields(model).get(part)
        if field is None:  # a mapping of named objects: the part is a name of the person's own
            continue
        parts = (field.annotation, *get_args(field.annotation))
        model = next((part for part in parts if _fields(part)), parts[-1])
    return list(_fields(model))


def _fields(model: Any) -> Mapping[str, Any]:
    return getattr(model, "model_fields", None) or getattr(model, "__dataclass_fields__", {})
