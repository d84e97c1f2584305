"""AWS's own request shapes, as botocore ships them, checked before anything runs.

SageMaker refuses a pipeline whose arguments do not fit the request of their step, are longer than
it takes (a container argument 256 characters, a hyperparameter 2,500), or that assigns a variable
of another type, such as an Integer parameter to a container argument
(aws/sagemaker-python-sdk#2631). So does `plan`, with this module.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import repr as shown
from typing import Any

from pipelines.executor.answers import KINDS, Answers, kind_of, operation
from pipelines.executor.grammar import GrammarError, parse, variable
from pipelines.executor.parameters import Parameter
from pipelines.executor.runners import RUNNERS

_ACCEPTS = {
    "string": frozenset({"string"}),
    "timestamp": frozenset({"string"}),
    "integer": frozenset({"integer"}),
    "long": frozenset({"integer"}),
    "float": frozenset({"integer", "float"}),
    "double": frozenset({"integer", "float"}),
    "boolean": frozenset({"boolean"}),
}
_SAME = {"timestamp": "string", "long": "integer", "double": "float"}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the variables of a definition can refer to."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Answers]


def problems(step_type: str, arguments: Any, where: str, scope: Scope) -> Iterator[str]:
    """How arguments differ from the request that their step becomes."""
    runner = RUNNERS[step_type]
    yield from request_problems(
        arguments, runner.operation, where, scope, given=frozenset({runner.name_field})
    )


def request_problems(
    arguments: Any,
    name: str,
    where: str,
    scope: Scope,
    *,
    given: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """How arguments differ from the request of an operation; the executor adds what is `given`."""
    yield from shape_problems(arguments, operation(name).input_shape, where, scope, given=given)


def shape_problems(
    arguments: Any, shape: Any, where: str, scope: Scope, *, given: frozenset[str]
) -> Iterator[str]:
    """How arguments differ from the shape of a request."""
    name = shape.name.removesuffix("Request").removesuffix("Input")
    for member in shape.required_members:
        if member not in arguments and member not in given:
            yield f"{where}.{member} is missing: {name} requires it"
    yield from _members(arguments, shape, where, scope)


def _check(value: Any, shape: Any, where: str, scope: Scope) -> Iterator[str]:
    found = variable(value)
    if found is not None:
        yield from _check_variable(*found, shape, where, scope)
    elif shape.type_name == "structure" and isinstance(value, Mapping):
        for name in shape.required_members:
            if name not in value:
                yield f"{where}.{name} is missing"
        yield from _members(value, shape, where, scope)
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _check(item, shape.value, f"{where}.{key}", scope)
    elif shape.type_name == "list" and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _check(item, shape.member, f"{where}[{index}]", scope)
    else:
        yield from _check_literal(value, shape, where)


def _check_literal(value: Any, shape: Any, where: str) -> Iterator[str]:
    least, most, enum = (shape.metadata.get(name) for name in ("min", "max", "enum"))
    if _literal_kind(value) not in _ACCEPTS.get(shape.type_name, ()):
        yield f"{where} must be of type {shape.type_name}, got {shown(value)}"
    elif isinstance(value, str) and most is not None and len(value) > most:
        yield f"{where} must have a length of at most {most} characters, got {len(value)}"
    elif isinstance(value, str) and enum and value not in enum:
        near = get_close_matches(value, enum, n=3, cutoff=0.4) or enum[:3]
        yield f"{where} must be a {shape.name}, such as {', '.join(near)}, got {shown(value)}"
    elif bounds := _out_of(value, least, most):
        yield f"{where} must be {bounds}, got {value}"


def _out_of(value: Any, least: float | None, most: float | None) -> str:
    """The bounds that a number is out of; empty: it is in them, or no number."""
    if isinstance(value, str | bool) or not isinstance(value, int | float):
        return ""
    if (least is None or value >= least) and (most is None or value <= most):
        return ""
    told = (("at least", least), ("at most", most))
    return " and ".join(f"{word} {bound}" for word, bound in told if bound is not None)


def _check_variable(
    function: str, content: Any, shape: Any, where: str, scope: Scope
) -> Iterator[str]:
    kind = _kind_of(function, content, scope)
    expected = _ACCEPTS.get(shape.type_name, frozenset({shape.type_name}))
    if kind is not None and _SAME.get(kind, kind) not in expected:
        advice = "; join it into text" if "string" in expected else ""
        yield (
            f"{where}: cannot assign {shown(content)} of type {kind} "
            f"to an argument of type {shape.type_name}{advice}"
        )


def _members(value: Mapping[str, Any], shape: Any, where: str, scope: Scope) -> Iterator[str]:
    for name, item in value.items():
        if name in shape.members:
            yield from _check(item, shape.members[name], f"{where}.{name}", scope)
        else:
            yield f"{where}.{name} is not a member of {shape.name}"


def _literal_kind(value: Any) -> str | None:
    kinds = {bool: "boolean", int: "integer", float: "float", str: "string"}
    return kinds.get(type(value))


def _kind_of(function: str, content: Any, scope: Scope) -> str | None:
    """The type of a variable, or None where only the run can tell."""
    if function == "Std:Join":
        return "string"
    if function != "Get" or not isinstance(content, str):
        return None
    try:
        reference = parse(content)
    except GrammarError:  # reported where references are checked
        return None
    if reference.scope == "Parameters":
        parameter = scope.parameters.get(reference.name)
        return KINDS[parameter.type] if parameter else None
    if reference.scope == "Steps":
        return kind_of(reference, scope.steps.get(reference.name, Answers()))
    return "string" if reference.scope == "Execution" else None
