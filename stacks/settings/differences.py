"""What differs between two environments: their settings, defaults filled in, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stacks.paths import ENVIRONMENTS
from stacks.settings.load import load, load_environment
from stacks.settings.part import Part
from stacks.stack_name import stacks_of

ENVIRONMENT = "environment"
"""Stands for the file that all stacks of an environment share."""

NOT_SET = ("environment", "name", "workload")
"""At the top of a file's content: what the loader adds, which follows from the file's name."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One setting that two environments set differently."""

    file: str
    """The layer in whose files it stands, or `environment`."""

    setting: str
    """Its path; empty where one of the environments has no such stack at all."""

    values: tuple[Any, Any]
    """Of the one and of the other, as plain data; None where there is nothing."""


def differences(env: str, other: str, folder: Path = ENVIRONMENTS) -> list[Difference]:
    """All of them, in the order of files and of their keys."""
    sides = [_files(name, folder) for name in (env, other)]
    found = []
    for file in {**sides[0], **sides[1]}:
        one, two = (side.get(file) for side in sides)
        if one is None or two is None:
            there = (one is not None, two is not None)
            found.append(Difference(file=file, setting="", values=there))
            continue
        found += [
            Difference(file=file, setting=path, values=(_plain(a), _plain(b)))
            for path, a, b in _differing(one, two)
            if path.partition(".")[0] not in NOT_SET
        ]
    return found


def _files(env: str, folder: Path) -> dict[str, Part]:
    """What each file of an environment says, in the order of deployment."""
    layers = {stack.layer: load(stack, folder) for stack in stacks_of(env, folder)}
    return {ENVIRONMENT: load_environment(env, folder), **layers}


def _differing(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ, as deep as both are made of named things."""
    if one == other:
        return
    left, right = _named(one), _named(other)
    if left is None or right is None:
        yield path, one, other
        return
    for name in {**left, **right}:
        where = f"{path}.{name}" if path else str(name)
        yield from _differing(left.get(name), right.get(name), where)


def _named(value: Any) -> Mapping[str, Any] | None:
    """What a value consists of, by name; None of a plain one."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value if isinstance(value, Mapping) else None


def _plain(value: Any) -> Any:
    """A value as JSON has it; of an object, what was said and not what is so by default."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value
