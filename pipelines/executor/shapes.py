"""AWS's own request and answer shapes, as botocore ships them, checked before anything runs.

SageMaker refuses a pipeline whose arguments do not fit the request of their step, are longer than
it takes (a container argument 256 characters, a hyperparameter 2,500), or that assigns a variable
of another type, such as an Integer parameter to a container argument
(aws/sagemaker-python-sdk#2631). So does `plan`, with this module; botocore is loaded when the first
definition is checked.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

from pipelines.executor.grammar import LIST_KEYS, GrammarError, Reference, parse, variable
from pipelines.executor.parameters import Parameter
from pipelines.executor.runners import RUNNERS

_KINDS = {"String": "string", "Integer": "integer", "Float": "float", "Boolean": "boolean"}
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
    step_types: Mapping[str, str]


def problems(step_type: str, arguments: Any, where: str, scope: Scope) -> Iterator[str]:
    """How arguments differ from the request that their step becomes."""
    runner = RUNNERS[step_type]
    shape = _operation(runner.operation).input_shape
    for name in shape.required_members:
        if name not in arguments and name != runner.name_field:
            yield f"{where}.{name} is missing: {runner.operation} requires it"
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
    most = shape.metadata.get("max")
    if _literal_kind(value) not in _ACCEPTS.get(shape.type_name, ()):
        yield f"{where} must be of type {shape.type_name}, got {shown(value)}"
    elif isinstance(value, str) and most is not None and len(value) > most:
        yield f"{where} must have a length of at most {most} characters, got {len(value)}"


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
    if reference.scope == "Execution":
        return "string"
    if reference.scope == "Parameters":
        parameter = scope.parameters.get(reference.name)
        return _KINDS[parameter.type] if parameter else None
    answered = _answered(reference, scope.step_types.get(reference.name, ""))
    return None if isinstance(answered, str | None) else str(answered.type_name)


def reference_problem(reference: Reference, step_type: str) -> str | None:
    """Why a step of this type never answers what a reference asks for, or None if it does."""
    answered = _answered(reference, step_type)
    return answered if isinstance(answered, str) else None


def _answered(reference: Reference, step_type: str) -> Any:
    """The shape a step reference ends at, a problem, or None if nothing is known."""
    if reference.property_file is not None or not reference.path:
        return None
    runner = RUNNERS.get(step_type)
    if runner is None:
        outcome = step_type == "Condition" and reference.path == ("Outcome",)
        known = outcome or not step_type
        return None if known else f"a {step_type} step answers no {reference.path[0]!r}"
    operation = runner.operation.replace("Create", "Describe", 1)
    if runner.lists and reference.path[0] in _operation(runner.lists).output_shape.members:
        operation = runner.lists
    shape = _operation(operation).output_shape
    parent: str | int = ""
    for token in reference.path:
        child = _child(shape, token, parent)
        if child is None:
            return f"{operation} answers no {token!r} in {reference.path!r}"
        shape, parent = child, token
    return shape


def _child(shape: Any, token: str | int, parent: str | int) -> Any:
    if shape.type_name == "structure":
        return shape.members.get(token)
    if shape.type_name == "map" and isinstance(token, str):
        return shape.value
    if shape.type_name == "list" and (isinstance(token, int) or parent in LIST_KEYS):
        return shape.member
    return None


def _operation(name: str) -> Any:
    return _sagemaker().operation_model(name)


@functools.cache
def _sagemaker() -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model("sagemaker")
