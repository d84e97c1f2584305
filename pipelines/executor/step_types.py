"""What a step of each type holds, before anybody looks at what it refers to."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from reprlib import repr as shown
from typing import Any

from pipelines.executor import (
    cache,
    checks,
    cleanup,
    conditions,
    foreach,
    lineage,
    outputs,
    retries,
    spark_steps,
)
from pipelines.executor.drivers import FAIL_MESSAGE_LENGTH
from pipelines.executor.grammar import variable
from pipelines.executor.runners import RUNNERS

BRANCHES = {"IfSteps": True, "ElseSteps": False}
"""Member of a Condition step's Arguments -> the outcome on which its steps run."""

_STEP = frozenset({"Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description"})
_CHECK: Mapping[str, type] = {
    "CheckType": str,
    "FailOnViolation": bool,
    "ModelPackageGroupName": str,
    "RegisterNewBaseline": bool,
    "SkipCheck": bool,
    "SuppliedBaselineConstraints": str,
}
_OF_ARGUMENTS = (
    *RUNNERS, *spark_steps.CHOICES, "Cleanup", "Condition", "Fail", "ForEach", "Lineage",
)  # fmt: skip
_OWN: Mapping[str, Mapping[str, type]] = {
    **{kind: {} for kind in _OF_ARGUMENTS},
    "Callback": {"SqsQueueUrl": str},
    "Lambda": {"FunctionArn": str},
    "ClarifyCheck": {**_CHECK, "ModelName": str},
    "QualityCheck": {**_CHECK, "SuppliedBaselineStatistics": str},
}
"""Step type that is built -> the members with values that it has beside those of every step -> what
a value that is no variable must be."""

_REQUIRED = frozenset({"CheckType", "FunctionArn", "SqsQueueUrl"})

_DECLARED: Mapping[str, frozenset[str]] = {
    "Callback": frozenset({"OutputParameters"}),
    "Lambda": frozenset({"OutputParameters"}),
    "Processing": frozenset({"PropertyFiles"}),
}
"""Step type -> members that declare what later steps can refer to."""

WHY_NOT: Mapping[str, str] = {
    "AutoML": "nothing here searches for models by itself",
    "Job": "its jobs run containers of SageMaker's own",
}
"""Step type that is not built -> why."""

_AWS_TYPES = frozenset({*_OWN, *WHY_NOT})
"""Step types that SageMaker has (SageMaker Python SDK 3.27, sagemaker.mlops.workflow)."""

_ARGUMENT_PROBLEMS: Mapping[str, Callable[[Mapping[str, Any], str], Iterator[str]]] = {
    "Cleanup": cleanup.problems,
    "ForEach": foreach.problems,
    "Lineage": lineage.problems,
    **{kind: partial(spark_steps.problems, kind) for kind in spark_steps.CHOICES},
}
"""Step type -> what finds the problems of Arguments that are no request of SageMaker's API."""

NESTED = {"Condition": frozenset(BRANCHES), "ForEach": frozenset({foreach.BODY, "Selector"})}
"""Step type -> the members of its Arguments that are about other steps."""

_TEXTS = {"DisplayName": 256, "Description": 3072}
"""Texts about a step, and what PipelineExecutionStep of the API has room for."""

_NAME_LENGTH = 64
_NAME_MARKS = "-_"


class NotBuilt(str):
    """A problem that SageMaker would not have: the executor cannot do it."""


def members(kind: str) -> frozenset[str]:
    """The members that a step of a type may have."""
    cached = {"CacheConfig"} if kind in cache.KEYS else set()
    retried = {"RetryPolicies"} if kind in retries.STEP_TYPES else set()
    return _STEP | _OWN[kind].keys() | _DECLARED.get(kind, frozenset()) | cached | retried


def own(step: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a step without problems has beside its Arguments."""
    return {key: step[key] for key in _OWN[step["Type"]] if step.get(key) is not None}


def problems(step: Any, where: str) -> Iterator[str]:
    """What is wrong with a step by itself."""
    if not isinstance(step, Mapping):
        yield f"{where} must be an object, got {shown(step)}"
        return
    name, kind = step.get("Name"), step.get("Type")
    if not isinstance(name, str) or not _is_step_name(name):
        allowed = f"up to {_NAME_LENGTH} letters, digits, - or _"
        yield f"{where}.Name must be {allowed}, got {shown(name)}"
    if not isinstance(kind, str) or kind not in _AWS_TYPES:
        yield f"{where}.Type must be one of {', '.join(sorted(_AWS_TYPES))}, got {shown(kind)}"
        return
    if kind not in _OWN:
        yield NotBuilt(f"{where}.Type {shown(kind)} is not emulated: {WHY_NOT[kind]}")
        return
    for key in sorted(str(key) for key in step.keys() - members(kind)):
        yield NotBuilt(f"{where}.{key} is not emulated for a {kind} step")
    arguments = step.get("Arguments")
    if not isinstance(arguments, Mapping):
        yield f"{where}.Arguments must be an object, got {shown(arguments)}"
    else:
        yield from _argument_problems(kind, arguments, f"{where}.Arguments")
    for member, most in _TEXTS.items():
        text = step.get(member)
        if text is not None and (not isinstance(text, str) or len(text) > most):
            yield f"{where}.{member} must be text of up to {most} characters, got {shown(text)}"
    yield from _own_problems(step, where)
    yield from cache.problems(step, where)
    yield from retries.problems(step, where)


def _own_problems(step: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the members that only steps of this type have."""
    kind = step["Type"]
    for key, expected in _OWN[kind].items():
        value = step.get(key)
        if value is None:
            if key in _REQUIRED:
                yield f"{where}.{key} is missing: a {kind} step requires it"
        elif not isinstance(value, expected) and variable(value) is None:
            word = {str: "text", bool: "true or false"}[expected]
            yield f"{where}.{key} must be {word}, got {shown(value)}"
    if kind in checks.CHECKS:
        yield from checks.problems(step, where)
    if "OutputParameters" in _DECLARED.get(kind, ()):
        yield from outputs.problems(step.get("OutputParameters") or [], f"{where}.OutputParameters")


def _is_step_name(name: str) -> bool:
    marks = str.maketrans("", "", _NAME_MARKS)
    plain = name.translate(marks)
    return 0 < len(name) <= _NAME_LENGTH and plain.isascii() and plain.isalnum()


def _argument_problems(kind: str, arguments: Mapping[str, Any], where: str) -> Iterator[str]:
    if kind == "Condition":
        yield from conditions.problems(arguments.get("Conditions"), f"{where}.Conditions")
        known = {"Conditions", *BRANCHES}
        for key in sorted(str(key) for key in arguments.keys() - known):
            yield f"{where}.{key} is not a member of a Condition step"
    elif kind in _ARGUMENT_PROBLEMS:
        yield from _ARGUMENT_PROBLEMS[kind](arguments, where)
    elif kind == "Fail" and arguments.get("ErrorMessage") is None:
        yield f"{where}.ErrorMessage is missing"
    elif kind == "Fail" and _too_long(arguments["ErrorMessage"]):
        told = f"must be text of up to {FAIL_MESSAGE_LENGTH} characters"
        yield f"{where}.ErrorMessage {told}, got {shown(arguments['ErrorMessage'])}"


def _too_long(message: Any) -> bool:
    return isinstance(message, str) and len(message) > FAIL_MESSAGE_LENGTH
