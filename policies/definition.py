"""The steps of a SageMaker pipeline definition as a graph: what must have succeeded before what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
        self.parameters: dict[str, Mapping[str, Any]] = {
            parameter["Name"]: parameter for parameter in document.get("Parameters") or ()
        }
        self.steps: dict[str, Step] = {
            step.name: step
            for step in _steps(document.get("Steps") or (), "Steps", (), frozenset())
        }

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


@lru_cache(maxsize=64)
def parse(text: str) -> Definition:
    """Reads a definition; ValueError says where JSON is not a definition."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a pipeline definition must be a JSON object")
    return Definition(document)


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


def referenced(node: Any) -> set[str]:
    """Steps whose results a piece of a definition uses."""
    if isinstance(node, Mapping):
        target = node.get("Get")
        match = _STEP_REFERENCE.match(target) if isinstance(target, str) else None
        return ({match.group(1)} if match else set()).union(*map(referenced, node.values()))
    if isinstance(node, list):
        return set().union(*map(referenced, node))
    return set()
