"""A definition as a frozen plan: steps in an order that works, or what is wrong and where.

A step needs what DependsOn names, what its arguments or conditions refer to, and the Condition
step it is nested in. SageMaker definitions are not sorted; the plan is.
"""

import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from reprlib import repr as shown
from typing import Any

from pipelines.executor import (
    cache,
    cleanup,
    foreach,
    lineage,
    outputs,
    parameters,
    retries,
    shapes,
    spark_steps,
    step_types,
)
from pipelines.executor.answers import Answers, reference_problem
from pipelines.executor.grammar import (
    DEPTH_LIMIT,
    DefinitionProblem,
    PropertyFile,
    Reference,
    findings,
)
from pipelines.executor.parameters import Parameter
from pipelines.executor.planned import Plan, PlannedStep
from pipelines.executor.runners import RUNNERS
from pipelines.executor.step_types import BRANCHES, NotBuilt

_TOP_LEVEL = frozenset(
    # PipelineExperimentConfig only names where SageMaker Experiments groups the jobs.
    {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "MlflowConfig", "Steps"}
)


TRIGGERS = ("Completed", "Failed", "Stopped", "Any")
"""Ends of a step that another one can wait for (StepDependency, sagemaker.mlops.workflow 1.27)."""


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
    reading.check_loops()
    reading.check_cleanups()
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
        self,
        steps: Any,
        where: str,
        branch: tuple[str, bool] | None = None,
        depth: int = 0,
        loop: str = "",
    ) -> None:
        """Read a list of steps and, inside Condition and ForEach steps, what they nest."""
        if not isinstance(steps, list | tuple) or (not steps and branch is None):
            self.problems.append(f"{where} must be a list of steps, got {shown(steps)}")
            return
        if depth > DEPTH_LIMIT:
            self.problems.append(f"{where} is nested deeper than {DEPTH_LIMIT} levels")
            return
        for index, step in enumerate(steps):
            self._read_step(step, f"{where}[{index}]", branch, depth, loop)

    def _read_step(
        self, step: Any, where: str, branch: tuple[str, bool] | None, depth: int, loop: str
    ) -> None:
        problems = list(step_types.problems(step, where))
        name = step.get("Name") if isinstance(step, Mapping) else None
        if isinstance(name, str) and name in self.steps:
            problems.append(f"{where}.Name {name!r} is used by another step")
        self.problems += problems
        if problems:
            self._remember_name(step, where)
            return
        planned = self._planned(step, where, branch, loop)
        self.steps[planned.name] = planned
        if planned.type == "Cleanup":
            self._remember_sources(planned)
        for member, value in {"Arguments": planned.arguments, **planned.own}.items():
            found = findings(value, f"{where}.{member}")
            self.findings += [(planned.name, finding) for finding in found]
        arguments, here = step["Arguments"], f"{where}.Arguments"
        if planned.type == "Condition":
            for member, outcome in BRANCHES.items():
                steps, nested = arguments.get(member, []), (planned.name, outcome)
                self.read_steps(steps, f"{here}.{member}", nested, depth + 1, loop)
        if planned.type == "ForEach":
            body = arguments[foreach.BODY]
            self.read_steps(body, f"{here}.{foreach.BODY}", None, depth + 1, planned.name)

    def _planned(
        self, step: Mapping[str, Any], where: str, branch: tuple[str, bool] | None, loop: str
    ) -> PlannedStep:
        nested = step_types.NESTED.get(step["Type"], frozenset())
        arguments = {key: item for key, item in step["Arguments"].items() if key not in nested}
        stated, parent = self._stated_needs(step, where), {branch[0]} if branch else set()
        return PlannedStep(
            name=step["Name"],
            type=step["Type"],
            where=where,
            arguments=arguments,
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
            loop=loop,
            selector=step["Arguments"].get("Selector") if step["Type"] == "ForEach" else None,
        )

    def _remember_sources(self, step: PlannedStep) -> None:
        """A Cleanup step comes after those whose outputs it deletes."""
        for index, source in enumerate(cleanup.sources(step.arguments)):
            here = f"{step.where}.Arguments.Resources.S3[{index}].StepName"
            finding = DefinitionProblem(here, _step_reference(source["StepName"]))
            self.findings.append((step.name, finding))

    def _remember_name(self, step: Any, where: str) -> None:
        """Keep a broken step's name, so that references to it are not reported as well."""
        name = step.get("Name") if isinstance(step, Mapping) else None
        if isinstance(name, str) and name not in self.steps:
            self.steps[name] = PlannedStep(name=name, type="", where=where, arguments={})

    def _stated_needs(self, step: Mapping[str, Any], where: str) -> dict[str, str]:
        """Step of DependsOn -> the end of it that is waited for."""
        needs: dict[str, str] = {}
        for index, entry in enumerate(self._listed(step, "DependsOn", where)):
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

    def _listed(self, step: Mapping[str, Any], member: str, where: str) -> Sequence[Any]:
        """The entries of a member that must be a list."""
        stated = step.get(member) or []
        if isinstance(stated, list | tuple):
            return stated
        self.problems.append(f"{where}.{member} must be a list, got {shown(stated)}")
        return ()

    def _property_files(self, step: Mapping[str, Any], where: str) -> dict[str, PropertyFile]:
        files = {}
        for index, item in enumerate(self._listed(step, "PropertyFiles", where)):
            here = f"{where}.PropertyFiles[{index}]"
            members = ("PropertyFileName", "OutputName", "FilePath")
            texts = [item.get(key) if isinstance(item, Mapping) else None for key in members]
            name, output, path = texts
            if not (isinstance(name, str) and isinstance(output, str) and isinstance(path, str)):
                self.problems.append(f"{here} must hold {', '.join(members)} as text")
            elif output not in _output_names(step.get("Arguments", {})):
                self.problems.append(f"{here}.OutputName {output!r} is no output of the step")
            elif name in files:
                self.problems.append(f"{here}.PropertyFileName {name!r} is declared twice")
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
            if isinstance(what, Reference) and what.scope == "ForEach":
                problem = None if self.steps[name].loop else "only a ForEachBody has a current item"
            if isinstance(what, Reference) and what.scope == "Steps":
                problem = self._step_reference_problem(self.steps[name], what, in_json_get)
                if problem is None and what.name not in self.steps[name].triggers:
                    self._need(name, what.name)
            self.problems += [f"{where}: {problem}"] if problem else []

    def _need(self, name: str, needed: str) -> None:
        """A step needs another one; what a body needs from outside, its ForEach step needs."""
        step = self.steps[name]
        if step.loop and self.steps[needed].loop != step.loop:
            self.steps[name] = replace(step, needs=step.needs - {needed})
            step = self.steps[step.loop]
        self.steps[step.name] = replace(step, needs=step.needs | {needed})

    def _step_reference_problem(
        self, step: PlannedStep, reference: Reference, in_json_get: bool
    ) -> str | None:
        target = self.steps.get(reference.name)
        if target is None:
            return f"step {reference.name!r} is not in the definition"
        if target.type == "Fail":
            return f"no step comes after the Fail step {reference.name!r}: it ends the execution"
        if target.loop and target.loop != step.loop:
            instead = f"Steps.{target.loop}.IterationOutputs[i].{target.name}"
            return f"step {target.name!r} runs once per item of {target.loop!r}, use {instead}"
        file = reference.property_file
        if file is not None and not in_json_get:
            return f"property file {file!r} can only be read by Std:JsonGet"
        if file is not None and target.type and file not in target.property_files:
            return f"step {reference.name!r} has no property file {file!r}"
        return reference_problem(reference, self._answers(target))

    def _answers(self, step: PlannedStep) -> Answers:
        body = {s.name: self._answers(s) for s in self.steps.values() if s.loop == step.name}
        picked = foreach.field_of(step.selector).name if step.selector else ""
        return Answers(
            step_type=step.type, outputs=step.outputs, body=body, selected=body.get(picked)
        )

    def check_loops(self) -> None:
        """Report names that children would take, and fields that no step of a body answers."""
        names = {step.name: bool(step.loop) for step in self.steps.values()}
        for name in foreach.clashes(names, [body for body, inside in names.items() if inside]):
            where = self.steps[name].where
            self.problems.append(f"{where}.Name {name!r} is that of a child of a ForEach step")
        for step in self.steps.values():
            if step.selector:
                field = foreach.field_of(step.selector)
                answers = self._answers(step).body.get(field.name, Answers())
                problem = reference_problem(field, answers)
                where = f"{step.where}.Arguments.Selector.Field"
                self.problems += [f"{where}: {problem}"] if problem else []
            if step.loop and step.triggers:
                where = f"{step.where}.DependsOn"
                self.problems.append(NotBuilt(f"{where}: a Trigger in a body is not emulated"))

    def check_cleanups(self) -> None:
        """Report outputs that no Cleanup step can delete."""
        for step in self.steps.values():
            listed = cleanup.sources(step.arguments) if step.type == "Cleanup" else ()
            for index, source in enumerate(listed):
                target = self.steps.get(source["StepName"])
                problem = cleanup.source_problem(source, target) if target else None
                where = f"{step.where}.Arguments.Resources.S3[{index}]"
                self.problems += [f"{where}: {problem}"] if problem else []

    def check_shapes(self, declared: Mapping[str, Parameter]) -> None:
        """Report arguments that do not fit the request their step becomes."""
        answers = {step.name: self._answers(step) for step in self.steps.values()}
        scope = shapes.Scope(parameters=declared, steps=answers)
        for step in self.steps.values():
            where = f"{step.where}.Arguments"
            if step.type in RUNNERS:
                self.problems += shapes.problems(step.type, step.arguments, where, scope)
            if step.type == "Lineage":
                for here, operation, request in lineage.requests(step.arguments, where):
                    self.problems += shapes.request_problems(request, operation, here, scope)
            for here, request, shape, given in spark_steps.requests(
                step.type, step.arguments, where
            ):
                self.problems += shapes.shape_problems(request, shape, here, scope, given=given)


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
    steps = list(reading.steps.values())
    outer = _sorted([step for step in steps if not step.loop], reading)
    ordered = [
        replace(
            step,
            body=tuple(_sorted([inner for inner in steps if inner.loop == step.name], reading)),
        )
        for step in outer
    ]
    reading.problems += _unreachable(ordered)
    return ordered


def _sorted(steps: list[PlannedStep], reading: _Reading) -> list[PlannedStep]:
    names = {step.name: step for step in steps}
    graph = {step.name: sorted(step.waits_for.keys() & names.keys()) for step in steps}
    try:
        return [names[name] for name in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        cycle = list(reversed(error.args[1]))
        where = names[cycle[0]].where
        reading.problems.append(f"{where}: steps need each other in a cycle: {' -> '.join(cycle)}")
        return steps


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
