"""What a step can be asked for: the members of its Describe answer, or what its type puts out.

The shapes are AWS's own, as botocore ships them; it is loaded when the first definition is checked.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pipelines.executor import checks, lineage, spark_steps
from pipelines.executor.foreach import COUNTS
from pipelines.executor.grammar import LIST_KEYS, Path, Reference
from pipelines.executor.runners import RUNNERS

KINDS = {"String": "string", "Integer": "integer", "Float": "float", "Boolean": "boolean"}
"""Type as a definition writes it -> as botocore does."""

TEXT, NUMBER = SimpleNamespace(type_name="string"), SimpleNamespace(type_name="integer")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a step can be asked for."""

    step_type: str = ""
    """Default: nothing is known of it."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Name -> type of its OutputParameters. Default: it has none."""
    body: "Mapping[str, Answers]" = field(default_factory=dict)
    """What the steps answer that a ForEach step runs per item. Default: it runs none."""
    selected: "Answers | None" = None
    """What the picked iteration answers. Default: none is picked."""


def kind_of(reference: Reference, answers: Answers) -> str | None:
    """The type of what a reference asks for, or None where only the run can tell."""
    answered = _answered(reference.path, answers)
    return None if isinstance(answered, str | None) else str(answered.type_name)


def reference_problem(reference: Reference, answers: Answers) -> str | None:
    """Why a step never answers what a reference asks for, or None if it does."""
    answered = _answered(reference.path, answers)
    return answered if isinstance(answered, str) else None


def _answered(path: Path, answers: Answers) -> Any:
    """The shape that a path ends at, a problem, or None if nothing is known."""
    kind = answers.step_type
    if not path or not kind or path[0] == "PropertyFiles":
        return None
    if kind in _OWN:
        return _OWN[kind](path, answers)
    if kind not in RUNNERS:
        return f"a {kind} step answers no {path[0]!r}"
    runner = RUNNERS[kind]
    described = runner.operation.replace("Create", "Describe", 1)
    if runner.lists and path[0] in operation(runner.lists).output_shape.members:
        described = runner.lists
    return _walked(operation(described).output_shape, path, described)


def _walked(shape: Any, path: Path, described: str, parent: str | int = "") -> Any:
    """The shape that a path below another ends at, or a problem."""
    for token in path:
        child = _child(shape, token, parent)
        if child is None:
            return f"{described} answers no {token!r} in {path!r}"
        shape, parent = child, token
    return shape


def _decided(path: Path, _: Answers) -> Any:
    return None if path == ("Outcome",) else f"a Condition step answers no {path[0]!r}"


def _put_out(path: Path, answers: Answers) -> Any:
    """What Lambda and Callback steps answer: the outputs that they declare."""
    match path:
        case ("OutputParameters", str(name)) if name in answers.outputs:
            return SimpleNamespace(type_name=KINDS[answers.outputs[name]])
        case ("OutputParameters", name):
            return f"has no output {name!r}, it has {', '.join(answers.outputs) or 'none'}"
    return f"a {answers.step_type} step answers no {path[0]!r}"


def _each(path: Path, answers: Answers) -> Any:
    """What a ForEach step answers: of the whole, of one iteration, or of the picked one."""
    match path:
        case ("Status",):
            return TEXT
        case (name,) if name in COUNTS:
            return NUMBER
        case ("IterationOutputs", int(), str(name), *rest) if name in answers.body:
            return _answered(tuple(rest), answers.body[name])
        case ("Selected", *rest) if answers.selected is not None:
            return _answered(tuple(rest), answers.selected)
    known = f"Status, {', '.join(COUNTS)}, IterationOutputs[i].<step>, Selected"
    return f"a ForEach step answers no {'.'.join(map(str, path))!r}, it has {known}"


def _recorded(path: Path, _: Answers) -> Any:
    """What a Lineage step answers: ARNs by the names of what it created."""
    match path:
        case (str(member), str()) if member in {kind.answered for kind in lineage.KINDS.values()}:
            return TEXT
        case ("Associations", int(), "SourceArn" | "DestinationArn"):
            return TEXT
    return f"a Lineage step answers no {'.'.join(map(str, path))!r}"


def _checked(path: Path, answers: Answers) -> Any:
    """What a step that checks answers: where its baselines are."""
    known = checks.properties(answers.step_type)
    if len(path) == 1 and path[0] in known:
        return TEXT
    return f"a {answers.step_type} step answers no {path[0]!r}, it has {', '.join(known)}"


def _run_by_spark(path: Path, answers: Answers) -> Any:
    """What steps of EMR and EMR Serverless answer: DescribeStep's Step, or all of GetJobRun."""
    kind = answers.step_type
    first = spark_steps.answered(kind, path)
    if first is None:
        return f"an {kind} step answers no {path[0]!r}"
    return _walked(first, path[1:], f"an {kind} step", path[0])


_OWN: Mapping[str, Callable[[Path, Answers], Any]] = {
    **dict.fromkeys(checks.CHECKS, _checked),
    "Callback": _put_out,
    "Condition": _decided,
    **dict.fromkeys(spark_steps.CHOICES, _run_by_spark),
    "ForEach": _each,
    "Lambda": _put_out,
    "Lineage": _recorded,
}
"""Step type whose answer is none of SageMaker's Describe operations -> what it answers."""


def _child(shape: Any, token: str | int, parent: str | int) -> Any:
    if shape.type_name == "structure":
        return shape.members.get(token)
    if shape.type_name == "map" and isinstance(token, str):
        return shape.value
    if shape.type_name == "list" and (isinstance(token, int) or parent in LIST_KEYS):
        return shape.member
    return None


def operation(name: str) -> Any:
    """botocore's model of an operation of SageMaker."""
    return _sagemaker().operation_model(name)


@functools.cache
def _sagemaker() -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model("sagemaker")
