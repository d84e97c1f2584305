"""A definition as a frozen plan: steps in an order that works, or what is wrong and where.

A step needs what DependsOn names, what its arguments or conditions refer to, and the Condition
step it is nested in. SageMaker definitions are not sorted; the plan is.
"""

import graphlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from reprlib import repr as shown
from typing import Any

from pipelines.executor import cache, outputs, parameters, retries, shapes, step_types
from pipelines.executor.grammar import (
    DEPTH_LIMIT,
    DefinitionProblem,
    PropertyFile,
    Reference,
    findings,
)
from pipelines.executor.parameters import Parameter
from pipelines.executor.runners import RUNNERS
from pipelines.executor.step_types import BRANCHES, NotBuilt

_TOP_LEVEL = frozenset(
    # PipelineExperimentConfig only names where SageMaker Experiments groups the jobs.
    {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "MlflowConfig", "Steps"}
)


TRIGGERS = ("Completed", "Failed", "Stopped", "Any")
"""Ends of a step that another one can wait for (StepDependency, sagemaker.mlops.workflow 1.27)."""


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step, with all that decides when it runs."""

    name: str
    type: str
    where: str
    """JSON path of the step in its definition."""
    arguments: Mapping[str, Any]
    """For a Condition step without its branches."""
    needs: frozenset[str] = frozenset()
    """Steps that must have succeeded before. Default: it can start at once."""
    triggers: Mapping[str, str] = field(default_factory=dict)
    """Steps that must have ended before -> `Failed`, `Stopped` or `Any`. Default: none."""
    branch: tuple[str, bool] | None = None
    """The Condition step it is nested in and the outcome it runs on. Default: it is not nested."""
    property_files: Mapping[str, PropertyFile] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    """Members that its type has beside Arguments. Default: it has none."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Name -> type of what it puts out by OutputParameters. Default: nothing."""
    cache_lifetime: timedelta | None = None
    """How old a result may be that is used again. Default: the step runs every time."""
    retry_policies: tuple[retries.RetryPolicy, ...] = ()
    """Default: what fails once has failed."""
    display_name: str = ""
    """Default: it is shown by its name."""
    description: str = ""
    """Default: it has none."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in topological order, and the parameters they may use."""

    steps: tuple[PlannedStep, ...]
    parameters: tuple[Parameter, ...]


def validate(definition: Any) -> list[str]:
    """What is wrong with a definition, with JSON paths; empty when it can be run."""
    return plan(definition)[1]


def refused(definition: Any) -> list[str]:
    """What SageMaker's CreatePipeline refuses it for, whether or not the executor can run it."""
    return [problem for problem in validate(definition) if not isinstance(problem, NotBuilt)]


def plan(definition: Any) -> tuple[Plan, list[str]]:
    """The plan of a definition and the problems with it; run only a plan without problems."""
    if not isinstance(definition, Mapping):
        return Plan(steps=(), parameters=()), [
            f"definition must be an object, got {shown(definition)}"
        ]
    reading = _Reading()
    reading.problems += _top_level_problems(definition)
    declared, problems = parameters.read(definition.get("Parameters", []))
    reading.problems += problems
    reading.read_steps(definition.get("Steps"), "Steps")
    reading.check_references(declared)
    reading.check_shapes(declared)
    ordered = _ordered(reading)
    return Plan(steps=tuple(ordered), parameters=tuple(declared.values())), reading.problems


def _top_level_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    if definition.get("Version") != "2020-12-01":
        yield f"Version must be '2020-12-01', got {shown(definition.get('Version'))}"
    for key in sorted(str(key) for key in definition.keys() - _TOP_LEVEL):
        yield f"{key} is not a member of a pipeline definition"
    if definition.get("MlflowConfig") is not None:
        yield NotBuilt("MlflowConfig is not emulated")


class _Reading:
    """Steps, references and problems as they are found in a definition."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.steps: dict[str, PlannedStep] = {}
        self.findings: list[tuple[str, DefinitionProblem]] = []

    def read_steps(
        self, steps: Any, where: str, branch: tuple[str, bool] | None = None, depth: int = 0
    ) -> None:
        """Read a list of steps and, inside Condition steps, their branches."""
        if not isinstance(steps, list | tuple) or (not steps and branch is None):
            self.problems.append(f"{where} must be a list of steps, got {shown(steps)}")
            return
        if depth > DEPTH_LIMIT:
            self.problems.append(f"{where} is nested deeper than {DEPTH_LIMIT} levels")
            return
        for index, step in enumerate(steps):
            self._read_step(step, f"{where}[{index}]", branch, depth)

    def _read_step(
        self, step: Any, where: str, branch: tuple[str, bool] | None, depth: int
    ) -> None:
        problems = list(step_types.problems(step, where))
        name = step.get("Name") if isinstance(step, Mapping) else None
        if isinstance(name, str) and name in self.steps:
            problems.append(f"{where}.Name {name!r} is used by another step")
        self.problems += problems
        if problems:
            self._remember_name(step, where)
            return
        arguments = step.get("Arguments", {})
        own = {key: value for key, value in arguments.items() if key not in BRANCHES}
        is_condition = step["Type"] == "Condition"
        stated, parent = self._stated_needs(step, where), {branch[0]} if branch else set()
        planned = PlannedStep(
            name=step["Name"],
            type=step["Type"],
            where=where,
            arguments=own if is_condition else arguments,
            needs=frozenset(n for n, how in stated.items() if how == "Completed") | parent,
            triggers={name: how for name, how in stated.items() if how != "Completed"},
            branch=branch,
            property_files=self._property_files(step, where),
            own=step_types.own(step),
            outputs=outputs.declared(step),
            cache_lifetime=cache.lifetime(step),
            retry_policies=retries.read(step),
            display_name=str(step.get("DisplayName") or ""),
            description=str(step.get("Description") or ""),
        )
        self.steps[planned.name] = planned
        for member, value in {"Arguments": planned.arguments, **planned.own}.items():
            found = findings(value, f"{where}.{member}")
            self.findings += [(planned.name, finding) for finding in found]
        if is_condition:
            for member, outcome in BRANCHES.items():
                here = f"{where}.Arguments.{member}"
                self.read_steps(arguments.get(member, []), here, (planned.name, outcome), depth + 1)

    def _remember_name(self, step: Any, where: str) -> None:
        """Keep a broken step's name, so that references to it are not reported as well."""
        name = step.get("Name") if isinstance(step, Mapping) else None
        if isinstance(name, str) and name not in self.steps:
            self.steps[name] = PlannedStep(name=name, type="", where=where, arguments={})

    def _stated_needs(self, step: Mapping[str, Any], where: str) -> dict[str, str]:
        """Step of DependsOn -> the end of it that is waited for."""
        stated = step.get("DependsOn") or []
        entries = stated if isinstance(stated, list | tuple) else [stated]
        needs: dict[str, str] = {}
        for index, entry in enumerate(entries):
            here = f"{where}.DependsOn[{index}]"
            plain = {"Step": entry} if isinstance(entry, str) else entry
            name = plain.get("Step") if isinstance(plain, Mapping) else None
            if not isinstance(plain, Mapping) or not isinstance(name, str):
                self.problems.append(f"{here} must name a step, got {shown(entry)}")
                continue
            trigger = plain.get("Trigger", "Completed")
            if trigger not in TRIGGERS:
                told = f"must be one of {', '.join(TRIGGERS)}, got {shown(trigger)}"
                self.problems.append(f"{here}.Trigger {told}")
            needs[name] = str(trigger)
            self.findings.append((step["Name"], DefinitionProblem(here, _step_reference(name))))
        return needs

    def _property_files(self, step: Mapping[str, Any], where: str) -> dict[str, PropertyFile]:
        files = {}
        stated = step.get("PropertyFiles") or []
        for index, item in enumerate(stated if isinstance(stated, list | tuple) else [stated]):
            here = f"{where}.PropertyFiles[{index}]"
            members = ("PropertyFileName", "OutputName", "FilePath")
            texts = [item.get(key) if isinstance(item, Mapping) else None for key in members]
            name, output, path = texts
            if not (isinstance(name, str) and isinstance(output, str) and isinstance(path, str)):
                self.problems.append(f"{here} must hold {', '.join(members)} as text")
            elif output not in _output_names(step.get("Arguments", {})):
                self.problems.append(f"{here}.OutputName {output!r} is no output of the step")
            else:
                files[name] = PropertyFile(output_name=output, file_path=path)
        return files

    def check_references(self, declared: Mapping[str, Parameter]) -> None:
        """Report dangling references; turn the others into needs."""
        for name, (where, what, in_json_get) in self.findings:
            problem = what if isinstance(what, str) else None
            if isinstance(what, Reference) and what.scope == "Parameters":
                missing = what.name not in declared
                problem = f"parameter {what.name!r} is not declared" if missing else None
            if isinstance(what, Reference) and what.scope == "Steps":
                problem = self._step_reference_problem(what, in_json_get)
                if problem is None:
                    step = self.steps[name]
                    if what.path or what.name not in step.triggers:
                        self.steps[name] = replace(step, needs=step.needs | {what.name})
            self.problems += [f"{where}: {problem}"] if problem else []

    def _step_reference_problem(self, reference: Reference, in_json_get: bool) -> str | None:
        target = self.steps.get(reference.name)
        if target is None:
            return f"step {reference.name!r} is not in the definition"
        file = reference.property_file
        if file is not None and not in_json_get:
            return f"property file {file!r} can only be read by Std:JsonGet"
        if file is not None and target.type and file not in target.property_files:
            return f"step {reference.name!r} has no property file {file!r}"
        return shapes.reference_problem(reference, _answers(target))

    def check_shapes(self, declared: Mapping[str, Parameter]) -> None:
        """Report arguments that do not fit the request their step becomes."""
        answers = {step.name: _answers(step) for step in self.steps.values()}
        scope = shapes.Scope(parameters=declared, steps=answers)
        for step in self.steps.values():
            if step.type in RUNNERS:
                where = f"{step.where}.Arguments"
                self.problems += shapes.problems(step.type, step.arguments, where, scope)


def _answers(step: PlannedStep) -> shapes.Answers:
    return shapes.Answers(step_type=step.type, outputs=step.outputs)


def _step_reference(name: str) -> Reference:
    return Reference(scope="Steps", name=name)


def _output_names(arguments: Any) -> set[str]:
    config = arguments.get("ProcessingOutputConfig") if isinstance(arguments, Mapping) else None
    outputs = config.get("Outputs") if isinstance(config, Mapping) else None
    listed = outputs if isinstance(outputs, list | tuple) else ()
    names = (item.get("OutputName") for item in listed if isinstance(item, Mapping))
    return {name for name in names if isinstance(name, str)}


def _ordered(reading: _Reading) -> list[PlannedStep]:
    """Steps after what they need, or in their own order when a cycle makes that impossible."""
    graph = {
        step.name: sorted(n for n in {*step.needs, *step.triggers} if n in reading.steps)
        for step in reading.steps.values()
    }
    try:
        ordered = [reading.steps[name] for name in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        cycle = list(reversed(error.args[1]))
        where = reading.steps[cycle[0]].where
        reading.problems.append(f"{where}: steps need each other: {' -> '.join(cycle)}")
        return list(reading.steps.values())
    reading.problems += _unreachable(ordered)
    return ordered


def _unreachable(ordered: Iterable[PlannedStep]) -> Iterator[str]:
    """Steps that need both outcomes of one condition."""
    assumed: dict[str, frozenset[tuple[str, bool]]] = {}
    for step in ordered:
        own = frozenset({step.branch} if step.branch else ())
        assumed[step.name] = own.union(*(assumed.get(need, frozenset()) for need in step.needs))
        both = sorted(
            name
            for name, outcome in assumed[step.name]
            if (name, not outcome) in assumed[step.name]
        )
        if both:
            yield f"{step.where}: can never run, it needs both branches of {both[0]!r}"
