"""How the environments differ, as a table: the settings are the only place where they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from policies.config import Thresholds
from stacks.settings.load import load, load_environment
from stacks.stack_name import stacks_of

ORDER = ("local", "dev", "staging", "prod")
NOT_SHOWN = ("account", "accounts", "environment", "image", "name", "tags", "workload")
"""Who owns an environment and what its workloads are: a team replaces both."""

LONG = 3
"""A longer list is shown as its length."""


def table(envs: Sequence[str] = ORDER) -> str:
    """Every setting that is not the same in all environments, as a Markdown table."""
    columns = {env: dict(_settings(env)) for env in envs}
    names = sorted({name for column in columns.values() for name in column})
    lines = [f"| setting | {' | '.join(envs)} |", f"|---|{'---|' * len(envs)}"]
    for name in names:
        values = [columns[env].get(name, "") for env in envs]
        if len(set(values)) > 1:
            lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def _settings(env: str) -> Iterator[tuple[str, str]]:
    """Every setting of an environment and of its stacks, after the name of its layer."""
    yield from _leaves(load_environment(env))
    for stack in stacks_of(env):
        yield from ((f"{stack.layer}: {name}", value) for name, value in _leaves(load(stack)))


def _leaves(model: BaseModel, path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by its path; what a person names or leaves out as a whole is one setting."""
    for name, field in type(model).model_fields.items():
        value, where = getattr(model, name), f"{path}{name}"
        if not path and name in NOT_SHOWN:
            continue
        if isinstance(value, BaseModel) and field.default is None:  # what can be left out whole
            yield where, _shown(value) or "yes"
        elif isinstance(value, BaseModel):
            yield from _leaves(value, f"{where}.")
        elif isinstance(value, Mapping | Thresholds):
            items = asdict(value) if isinstance(value, Thresholds) else value
            yield from ((f"{where}.{key}", _shown(item)) for key, item in items.items())
        else:
            yield where, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        given = value.model_dump(exclude_defaults=True)
        return ", ".join(f"{key} {_shown(item)}" for key, item in given.items())
    if isinstance(value, Mapping):
        sizes = {key.removesuffix("_size"): item for key, item in value.items()}
        if set(sizes) == {"min", "desired", "max"}:
            return f"{sizes['min']} to {sizes['max']}"
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        shown = [str(_shown(item)) for item in value]
        return ", ".join(shown) if len(shown) <= LONG else f"{len(shown)}"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    whole = isinstance(value, float) and value.is_integer()
    return "" if value is None else str(int(value) if whole else value)
