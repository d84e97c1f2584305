"""The steps of a SageMaker pipeline definition as a graph: what must have succeeded before what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from policies.reading.texts import HOLDING, Path, parts, written

KEPT = 512
"""Definitions that are kept parsed: every rule asks for the same ones."""

BRANCHES = ("IfSteps", "ElseSteps")
BODIES = (*BRANCHES, "ForEachBody")
_STEP_REFERENCE = re.compile(r"Steps\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Branch:
    """One outcome of a Condition step."""

    condition: str
    outcome: str

    @property
    def opposite(self) -> Branch:
        """The outcome that was not taken."""
        first, second = BRANCHES
        return Branch(self.condition, second if self.outcome == first else first)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step, nested or not."""

    name: str
    type: str
    path: str
    """Where it stands in the definition, such as `Steps[2].Arguments.IfSteps[0]`."""
    body: Mapping[str, Any]
    branches: tuple[Branch, ...]
    """The condition outcomes it lies in, outermost first."""
    requires: frozenset[str]
    """Steps that must have succeeded before it starts."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of its job or call."""
        return self.body.get("Arguments") or {}


class Definition:
    """A parsed pipeline definition."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.parameters: dict[str, Mapping[str, Any]] = {
            parameter["Name"]: parameter for parameter in document.get("Parameters") or ()
        }
        steps = document.get("Steps") or ()
        self.all_steps: tuple[Step, ...] = tuple(_steps(steps, "Steps", (), frozenset()))
        self.steps: dict[str, Step] = {step.name: step for step in self.all_steps}

    @cached_property
    def references(self) -> tuple[tuple[str, str], ...]:
        """Every `Get`: where it stands, and what it names."""
        found: list[tuple[str, str]] = []
        _collect_references(self.document, (), found)
        return tuple(found)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every text that is a value."""
        found: list[str] = []
        _collect_texts(self.document, found)
        return tuple(found)

    def of_type(self, *types: str) -> list[Step]:
        """The steps of these types."""
        return [step for step in self.steps.values() if step.type in types]

    def before(self, step: Step) -> set[str]:
        """Every step that must have succeeded before this one starts."""
        seen: set[str] = set()
        todo = list(step.requires)
        while todo:
            name = todo.pop()
            if name not in seen and name in self.steps:
                seen.add(name)
                todo.extend(self.steps[name].requires)
        return seen

    def inside(self, branch: Branch) -> list[Step]:
        """The steps that run only when a condition has this outcome."""
        return [step for step in self.steps.values() if branch in step.branches]


@lru_cache(maxsize=KEPT)
def parse(text: str) -> Definition:
    """Reads a definition; ValueError says where JSON is not a definition."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a pipeline definition must be a JSON object")
    if wrong := list(misshapen(document)):
        raise ValueError("; ".join(wrong))
    return Definition(document)


def misshapen(document: Mapping[str, Any]) -> Iterator[str]:
    """Everything whose type is not what the grammar of definitions asks for, with its path."""
    for index, parameter in enumerate(_listed(document, "Parameters", problems := [])):
        where = f"Parameters[{index}]"
        if not isinstance(parameter, Mapping):
            problems.append(_wrong(where, "an object", parameter))
        else:
            problems += _texts(parameter, where, ("Name", "Type"))
    for index, step in enumerate(_listed(document, "Steps", problems)):
        problems += _step_problems(step, f"Steps[{index}]")
    yield from problems


def _step_problems(step: Any, where: str) -> Iterator[str]:
    if not isinstance(step, Mapping):
        yield _wrong(where, "an object", step)
        return
    yield from _texts(step, where, ("Name", "Type"))
    problems: list[str] = []
    for index, entry in enumerate(_listed(step, "DependsOn", problems, where)):
        named = entry.get("Step") if isinstance(entry, Mapping) else entry
        if not isinstance(named, str):
            problems.append(_wrong(f"{where}.DependsOn[{index}]", "the name of a step", entry))
    arguments = step.get("Arguments")
    if not isinstance(arguments, Mapping | None):
        yield _wrong(f"{where}.Arguments", "an object", arguments)
    inside: Mapping[str, Any] = arguments if isinstance(arguments, Mapping) else {}
    for key in BODIES:
        path, body, name = f"{where}.Arguments", inside, key
        if isinstance(inside.get(key), Mapping):
            path, body, name = f"{path}.{key}", inside[key], "Steps"
        for index, inner in enumerate(_listed(body, name, problems, path)):
            problems += _step_problems(inner, f"{path}.{name}[{index}]")
    yield from problems


def _listed(node: Mapping[str, Any], key: str, problems: list[str], where: str = "") -> list[Any]:
    value = node.get(key)
    if isinstance(value, list | None):
        return value or []
    problems.append(_wrong(f"{where}.{key}" if where else key, "a list", value))
    return []


def _texts(node: Mapping[str, Any], where: str, keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        if not isinstance(node.get(key), str) or not node[key]:
            yield _wrong(f"{where}.{key}", "a text", node.get(key))


_NAMES = {dict: "an object", list: "a list", type(None): "none", str: "a text"}


def _wrong(where: str, wanted: str, got: Any) -> str:
    return f"{where} must be {wanted}, got {_NAMES.get(type(got), repr(got))}"


def _steps(
    raw: Sequence[Mapping[str, Any]], path: str, branches: tuple[Branch, ...], above: frozenset[str]
) -> Iterator[Step]:
    for index, body in enumerate(raw):
        here = f"{path}[{index}]"
        name = str(body["Name"])
        arguments = body.get("Arguments") or {}
        own = {key: value for key, value in arguments.items() if key not in BODIES}
        named = referenced({**body, "Arguments": own})
        yield Step(
            name=name,
            type=str(body["Type"]),
            path=here,
            body=body,
            branches=branches,
            requires=frozenset(named | _depends_on(body) | above) - {name},
        )
        for key in BODIES:
            nested = arguments.get(key) or ()
            if isinstance(nested, Mapping):
                nested = nested.get("Steps") or ()
            inner = (*branches, Branch(name, key)) if key in BRANCHES else branches
            yield from _steps(nested, f"{here}.Arguments.{key}", inner, above | {name})


def _depends_on(body: Mapping[str, Any]) -> set[str]:
    """Steps whose success this one waits for; `Trigger` waits for a failure and proves nothing."""
    names = set()
    for entry in body.get("DependsOn") or ():
        if isinstance(entry, str):
            names.add(entry)
        elif not entry.get("Trigger"):
            names.add(entry["Step"])
    return names


def _collect_references(node: Any, path: Path, found: list[tuple[str, str]]) -> None:
    target = node.get("Get") if type(node) is dict else None
    if type(target) is str:
        found.append((written(path), target))
    for key, item in parts(node):
        if type(item) in HOLDING:
            _collect_references(item, (path, key), found)


def _collect_texts(node: Any, found: list[str]) -> None:
    for item in node.values() if type(node) is dict else node:
        if type(item) is str:
            found.append(item)
        elif type(item) in HOLDING:
            _collect_texts(item, found)


def cycles(pipeline: Definition) -> list[list[str]]:
    """The circles of steps that wait for each other, each from its first name on."""
    found = {
        frozenset(circle): circle
        for step in pipeline.steps.values()
        if step.name in (reached := pipeline.before(step))
        for circle in [
            sorted(name for name in reached if step.name in pipeline.before(pipeline.steps[name]))
        ]
    }
    return sorted(found.values())


def duplicates(pipeline: Definition) -> list[str]:
    """Names that several steps have; the service refuses them."""
    seen, twice = set(), []
    for step in pipeline.all_steps:
        if step.name in seen:
            twice.append(f"{step.path} ({step.name})")
        seen.add(step.name)
    return twice


def referenced(node: Any) -> set[str]:
    """Steps whose results a piece of a definition uses."""
    found: set[str] = set()
    if type(node) in HOLDING:
        _collect_referenced(node, found)
    return found


def _collect_referenced(node: Any, found: set[str]) -> None:
    if type(node) is dict:
        target = node.get("Get")
        if type(target) is str and (match := _STEP_REFERENCE.match(target)):
            found.add(match[1])
        node = node.values()
    for item in node:
        if type(item) in HOLDING:
            _collect_referenced(item, found)
