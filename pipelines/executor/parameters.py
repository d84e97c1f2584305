"""Pipeline parameters: their declarations, and values coerced to the declared type.

StartPipelineExecution carries every value as text, so the declaration decides what it becomes.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

from policies.secret_names import says_secret


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One declared parameter."""

    name: str
    type: str
    """`String`, `Integer`, `Float` or `Boolean`."""
    default: Any = None
    """Default: the caller of the pipeline must give a value."""
    choices: tuple[Any, ...] = ()
    """Default: any value of the type."""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[str(value).lower()]


_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}")  # API reference, Parameter

TYPES: dict[str, Callable[[Any], Any]] = {
    "String": _text,
    "Integer": _integer,
    "Float": _float,
    "Boolean": _boolean,
}
"""Coercion per declared type."""


def coerce(value: Any, type_name: str) -> Any:
    """A value as its declared type, or a ValueError that says what it should have been."""
    try:
        return TYPES[type_name](value)
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"must be of type {type_name}, got {shown(value)}") from None


def read(declared: Any) -> tuple[dict[str, Parameter], list[str]]:
    """The declared parameters by name, and what is wrong with them."""
    if not isinstance(declared, list | tuple):
        return {}, [f"Parameters must be a list, got {shown(declared)}"]
    found: dict[str, Parameter] = {}
    problems: list[str] = []
    for index, item in enumerate(declared):
        where = f"Parameters[{index}]"
        parameter = _read_one(item, where, problems)
        if parameter is not None and parameter.name in found:
            problems.append(f"{where}.Name {parameter.name!r} is declared twice")
        elif parameter is not None:
            found[parameter.name] = parameter
    return found, problems


def _read_one(item: Any, where: str, problems: list[str]) -> Parameter | None:
    if not isinstance(item, Mapping) or not isinstance(item.get("Name"), str) or not item["Name"]:
        problems.append(f"{where} must be an object with a Name, got {shown(item)}")
        return None
    if not _NAME.fullmatch(item["Name"]):
        told = "must be up to 256 letters, digits, - or _"
        problems.append(f"{where}.Name {told}, got {shown(item['Name'])}")
    type_name = item.get("Type")
    if not isinstance(type_name, str) or type_name not in TYPES:
        problems.append(f"{where}.Type must be one of {', '.join(TYPES)}, got {shown(type_name)}")
        return None
    unknown = sorted(str(key) for key in item.keys() - _KEYS)
    problems += [f"{where}.{key} is not a member of a parameter" for key in unknown]
    choices = item.get("EnumValues") or ()
    if not isinstance(choices, list | tuple):
        problems.append(f"{where}.EnumValues must be a list, got {shown(choices)}")
        choices = ()
    parameter = Parameter(
        name=item["Name"], type=type_name, default=item.get("DefaultValue"), choices=tuple(choices)
    )
    if parameter.default is not None:
        problem = _problem(parameter, parameter.default)
        problems += [f"{where}.DefaultValue {problem}"] if problem else []
    return parameter


_KEYS = frozenset({"Name", "Type", "DefaultValue", "EnumValues", "DisplayName", "Description"})


def _problem(parameter: Parameter, value: Any) -> str | None:
    got = "[secret]" if says_secret(parameter.name) else shown(value)
    try:
        coerced = coerce(value, parameter.type)
    except ValueError:
        return f"must be of type {parameter.type}, got {got}"
    if parameter.choices and coerced not in parameter.choices:
        return f"must be one of {shown(list(parameter.choices))}, got {got}"
    return None


def problems_with(declared: Iterable[Parameter], given: Mapping[str, Any]) -> list[str]:
    """Why an execution cannot start with these values; empty when it can."""
    known = {parameter.name: parameter for parameter in declared}
    problems = [
        f"parameter {name!r} is not declared; the pipeline has {', '.join(known) or 'none'}"
        for name in given
        if name not in known
    ]
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        problem = "has no default and got no value" if value is None else _problem(parameter, value)
        problems += [f"parameter {name!r} {problem}"] if problem else []
    return problems


def check(definition: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Why an execution of a valid definition cannot start with these values."""
    return problems_with(read(definition.get("Parameters", []))[0].values(), given)


def values(declared: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value, of its declared type; defaults where none is given."""
    return {
        parameter.name: coerce(given.get(parameter.name, parameter.default), parameter.type)
        for parameter in declared
    }
