"""Members of requests that are longer, more or other than their model says.

A service of AWS checks each request against the model that botocore has, too; clients check the
least of it, and moto hardly anything. What a pattern means that Python cannot read is left open.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.aws.protocols import model_of
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

CODES = {
    "athena": "InvalidRequestException",
    "dynamodb": "ValidationException",
    "ecr": "InvalidParameterException",
    "events": "ValidationException",
    "firehose": "ValidationException",
    "kinesis": "ValidationException",
    "kms": "ValidationException",
    "logs": "InvalidParameterException",
    "scheduler": "ValidationException",
    "ssm": "ValidationException",
    "stepfunctions": "ValidationException",
}
"""Service whose requests are held against its model -> the code of what does not fit."""

FOREIGN = re.compile(r"\\p\{|\\uD8|\\uDC|\(\?[^:=!<P]|&&")
"""Of patterns that Java reads and Python does not, or otherwise."""

HEAD = "1 validation error detected: Value{value} at '{place}' failed to satisfy constraint: "


def misfit(service: str, operation: str) -> Condition:
    """A request has a member that its model does not allow."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        shape = model_of(service).operation_model(operation).input_shape
        for place, value, rule in _problems(shape, request, ""):
            return {"place": place, "value": value, "rule": rule}
        return None

    return condition


def _problems(shape: Any, value: Any, place: str) -> Iterator[tuple[str, str, str]]:
    if shape is None or value is None:
        return
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, own in value.items():
            if name in shape.members:
                yield from _problems(shape.members[name], own, _place(place, name))
        return
    for rule in _broken(shape, value):
        shown = "" if shape.metadata.get("sensitive") or isinstance(value, bytes) else f" '{value}'"
        yield place, shown[:SHOWN_LETTERS], rule
    if shape.type_name == "list" and isinstance(value, list):
        for index, own in enumerate(value, start=1):
            yield from _problems(shape.member, own, f"{place}.{index}.member")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, own in value.items():
            yield from _problems(shape.key, key, f"{place}.key")
            yield from _problems(shape.value, own, f"{place}.{key}.member")


SHOWN_LETTERS = 200


def _place(before: str, name: str) -> str:
    own = name[:1].lower() + name[1:]
    return f"{before}.{own}" if before else own


def _broken(shape: Any, value: Any) -> Iterator[str]:
    """Rules of a model that a value breaks, in AWS's words."""
    told = shape.metadata
    if isinstance(value, bool):
        return
    what, size = ("value", value) if isinstance(value, int | float) else ("length", _length(value))
    if size > told.get("max", size):
        yield f"Member must have {what} less than or equal to {told['max']}"
    if size < told.get("min", size) and not (what == "length" and size == 0):  # clients see to it
        yield f"Member must have {what} greater than or equal to {told['min']}"
    if isinstance(value, str):
        allowed = getattr(shape, "enum", None) or ()
        if allowed and value not in allowed:
            yield f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        elif not _matches(told.get("pattern"), value):
            yield f"Member must satisfy regular expression pattern: {told['pattern']}"


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | Mapping) else 0


def _matches(pattern: str | None, value: str) -> bool:
    compiled = _compiled(pattern) if pattern else None
    return compiled is None or compiled.fullmatch(value) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    if FOREIGN.search(pattern):
        return None
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None


def _code(service: str, operation: str) -> str:
    """That of the service, where the operation has it."""
    codes = {one.name for one in model_of(service).operation_model(operation).error_shapes}
    return CODES[service] if CODES[service] in codes else "ValidationException"


BOUNDS = tuple(
    Refusal(
        service=service,
        operations=(operation,),
        condition=misfit(service, operation),
        code=_code(service, operation),
        text=HEAD + "{rule}",
        source=f"botocore's model of {service}",
    )
    for service in CODES
    for operation in model_of(service).operation_names
)
"""One row an operation."""
