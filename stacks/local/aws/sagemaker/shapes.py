"""Requests and answers checked against botocore's own models of the services."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.validate import ParamValidator, ValidationErrors

from stacks.local.aws import model_constraints
from stacks.local.aws.sagemaker.errors import invalid


@functools.cache
def service(name: str = "sagemaker") -> Any:
    """botocore's model of a service."""
    return botocore.session.get_session().get_service_model(name)


@functools.cache
def operation_names(name: str = "sagemaker") -> frozenset[str]:
    """Every operation the service has."""
    return frozenset(service(name).operation_names)


def input_members(operation: str) -> Mapping[str, Any]:
    """Members of an operation's request."""
    shape = service().operation_model(operation).input_shape
    return shape.members if shape else {}


def output_members(operation: str) -> Mapping[str, Any]:
    """Members of an operation's answer."""
    shape = service().operation_model(operation).output_shape
    return shape.members if shape else {}


DEFAULT = re.compile(r"default[^.]*?(?:is|in) (?:<code>)?(\w+)", re.IGNORECASE)


@functools.cache
def default_sort(operation: str) -> tuple[str, str]:
    """What a List operation sorts by and in which order, as its documentation says.

    Where it does not: the newest first, and names from A on.
    """
    by = _default(operation, "SortBy", "CreationTime")
    natural = "Ascending" if by == "Name" else "Descending"
    return by, _default(operation, "SortOrder", natural)


def _default(operation: str, member: str, otherwise: str) -> str:
    shape = input_members(operation).get(member)
    found = DEFAULT.search(shape.documentation) if shape is not None else None
    if found is None or shape is None or found[1] not in shape.metadata.get("enum", ()):
        return otherwise
    return found[1]


def errors_of(operation: str) -> frozenset[str]:
    """Codes of the errors that the operation's documentation names."""
    return frozenset(shape.name for shape in service().operation_model(operation).error_shapes)


IN_USE = ("ResourceInUse", "ConflictException", "ResourceAlreadyExists")
"""Codes with which operations refuse a name that is taken, or to touch what is used."""


def in_use_code(operation: str) -> str:
    """The one of them that the operation's documentation names."""
    told = errors_of(operation) if operation else frozenset()
    return next((code for code in IN_USE if code in told), "ValidationException")


@functools.cache
def summary_member(operation: str) -> tuple[str, frozenset[str]]:
    """Name of the list in a List answer, and the members of its elements."""
    for name, shape in output_members(operation).items():
        if shape.type_name == "list" and shape.member.type_name == "structure":
            return name, frozenset(shape.member.members)
    raise LookupError(f"{operation} answers no list of structures")


def check_request(operation: str, request: Mapping[str, Any], name: str = "sagemaker") -> None:
    """Refuse a request that does not fit the operation's input shape, naming every problem."""
    shape = service(name).operation_model(operation).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    problems = [*_told(report)] if report.has_errors() else []
    if not problems:
        problems = [*model_constraints.problems(request, shape)]
    if problems:
        count = len(problems)
        raise invalid(
            f"{count} validation error{'s' * (count > 1)} detected: " + "; ".join(problems)
        )


LEAST = {"invalid range": "value", "invalid length": "length"}
"""What is too small, by botocore's word for it."""


def _told(report: Any) -> Iterator[str]:
    """What botocore found, as AWS says it: a client of another language does not look first.

    Of types and unknown members AWS has no such words; they are told as botocore tells them.
    """
    others = ValidationErrors()
    for kind, where, found in report._errors:
        if kind == "missing required field":
            path = _path(f"{where}.{found['required_name']}")
            yield f"Value null at '{path}' failed to satisfy constraint: Member must not be null"
        elif kind in LEAST:
            # of what is too short botocore keeps the length alone
            value = f" '{found['param']}'" if kind == "invalid range" else ""
            law = f"Member must have {LEAST[kind]} greater than or equal to {found['min_allowed']}"
            yield f"Value{value} at '{_path(where)}' failed to satisfy constraint: {law}"
        else:
            others.report(where, kind, **found)
    if others.has_errors():
        yield others.generate_report()


def _path(where: str) -> str:
    """botocore's `.Tags[0].Key` as AWS writes it: `tags.1.member.key`."""
    placed = re.sub(r"\[(\d+)\]", lambda found: f".{int(found[1]) + 1}.member", where)
    return ".".join(f"{part[:1].lower()}{part[1:]}" for part in placed.split(".") if part)


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def to_json(content: Any) -> bytes:
    """An answer as JSON 1.1: times are seconds since the epoch."""
    return json.dumps(content, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{type(value).__name__} does not fit into an answer")
