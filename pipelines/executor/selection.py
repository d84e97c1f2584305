"""Selective execution: which steps run, and which results of another execution they build on.

The steps between two selected ones must be selected too; what selected steps need beside is taken
from a reference execution of the same pipeline; steps after them do not run (API reference,
SelectiveExecutionConfig; developer guide, "Selective execution of pipeline steps").
"""

from collections.abc import Collection, Mapping
from typing import Any

from pipelines.executor.plan import plan
from pipelines.executor.planned import PlannedStep


def problem(
    definition: Mapping[str, Any],
    selected: Collection[str],
    source_arn: str | None,
    succeeded: Collection[str],
) -> str | None:
    """Why an execution of these steps cannot start, in SageMaker's words where they are known.

    `succeeded` are the steps of the reference execution whose results there are.
    """
    steps = {step.name: step for step in plan(definition)[0].steps}
    unknown = [name for name in selected if name not in steps]
    if unknown:
        return f"Invalid SelectedSteps: [{', '.join(unknown)}] are not steps of the pipeline"
    between = [name for name in _between(steps, frozenset(selected)) if name not in selected]
    if between:
        told = "all steps in all paths between two selected steps must be selected"
        return f"Invalid SelectedSteps: {told}, [{', '.join(between)}] are not"
    needs = _needed(steps, selected)
    if needs and source_arn is None:
        return (  # aws/sagemaker-python-sdk#4444
            "Invalid SourcePipelineExecutionArn: null. The selected steps "
            f"[{', '.join(selected)}] have dependencies on [{', '.join(needs)}]"
        )
    missing = [name for name in needs if name not in succeeded]
    if missing:
        return (
            f"Invalid SourcePipelineExecutionArn: {source_arn}. The selected steps depend on "
            f"[{', '.join(missing)}], which did not succeed in it"
        )
    return None


def needed(definition: Mapping[str, Any], selected: Collection[str]) -> list[str]:
    """The steps of a definition whose results the selected ones build on."""
    return _needed({step.name: step for step in plan(definition)[0].steps}, selected)


def _needed(steps: Mapping[str, PlannedStep], selected: Collection[str]) -> list[str]:
    """In the order of the plan."""
    needs = {need for name in selected for need in steps[name].waits_for}
    return [name for name in steps if name in needs and name not in selected]


def _between(steps: Mapping[str, PlannedStep], selected: frozenset[str]) -> list[str]:
    """Steps with a selected one before them and a selected one after them."""
    after, before = set(selected), set(selected)
    for name, step in steps.items():  # in topological order
        if step.waits_for.keys() & after:
            after.add(name)
    for name in reversed(list(steps)):
        if name in before:
            before |= steps[name].waits_for.keys()
    return [name for name in steps if name in after and name in before]
