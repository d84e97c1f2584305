"""`plinth up NAME --with-model`: from nothing to served, scored first models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.errors import UserError
from infra.naming import REALTIME
from stacks.commands import deploy, model, status
from stacks.commands.output import CommandOutput
from stacks.settings.load import dependencies, load_workload
from stacks.settings.model import WorkloadSettings
from stacks.stack_name import StackName, named
from stacks.targets.side_by_side import side_by_side, total
from stacks.targets.work import prepared


@dataclass(frozen=True)
class FirstRuns:
    """A workload's pipelines that never ran are run, and the model that they make is served."""

    stack: StackName

    def __str__(self) -> str:
        return f"the first runs of {self.stack}"


Task = StackName | FirstRuns


def up_with_model(name: str, report: CommandOutput, **how: Any) -> dict[str, Any]:
    """Deploy; run what has never run; approve, promote, serve and score models; sum up.

    Approving without a person is only for environments that are not protected.
    `how` is what `prepared` takes.
    """
    workloads = [stack for stack in named(name) if stack.workload]
    settings = {stack: load_workload(stack) for stack in workloads}
    owners = {stack: _owners(stack, chosen, workloads) for stack, chosen in settings.items()}
    for stack, chosen in settings.items():
        if chosen.environment.protect:
            raise UserError(
                f"--with-model approves by itself, so {stack.env} must not be protected, got "
                "protect: true",
                fix=f"type `plinth up {name}`, then run, approve and promote as separate people",
            )
    with prepared(name, report, **how) as work:
        ordered = sorted(workloads, key=lambda stack: (len(owners[stack]), stack))
        tasks: list[Task] = [*work.stacks, *map(FirstRuns, ordered)]
        needs: dict[Task, list[Task]] = {stack: [*dependencies(stack)] for stack in work.stacks}
        for stack in workloads:
            needs[FirstRuns(stack)] = [stack, *map(FirstRuns, owners[stack])]

        def act(task: Task) -> dict[str, Any]:
            if isinstance(task, FirstRuns):
                return _served(task.stack, settings[task.stack], report)
            return deploy.updated(work, task)

        said = side_by_side(tasks, needs, act)
    deployed = deploy.summed(name, {stack: said[stack] for stack in work.stacks}, report)
    done = {stack: said[FirstRuns(stack)] for stack in workloads}
    shown = status.status(name, report)
    totals = {key: f"{seconds:.1f} s" for key, seconds in report.seconds.items()}
    report.table("time per stage", totals)
    example = next((s for s, chosen in settings.items() if chosen.workload.model), None)
    if example is not None:
        report.say(
            f"next: plinth run {example} · plinth approve {example} · plinth promote {example} · "
            f"plinth up {example} · plinth destroy {example.env} --yes"
        )
    updates = [deployed, *(said["deployment"] for said in done.values() if said["deployment"])]
    changes = total(updates, "changes")
    changes["same"] = deployed["changes"]["same"]
    return {
        **deployed,
        "changes": changes,
        "workloads": {str(stack): said for stack, said in done.items()},
        "status": shown,
        "seconds": report.seconds,
    }


def _owners(
    stack: StackName, settings: WorkloadSettings, workloads: Sequence[StackName]
) -> tuple[StackName, ...]:
    """The workloads whose features this one reads: they must have filled them before."""
    owners = settings.workload.uses
    return tuple(other for other in workloads if other.layer in owners)


def _served(stack: StackName, settings: WorkloadSettings, report: CommandOutput) -> dict[str, Any]:
    """Run the pipelines that never ran; serve and score a model if none is served."""
    found: dict[str, Any] = {"runs": {}, "deployment": None, "predict": None}
    clients = model.clients_of(settings)
    endpoint = settings.names.of(REALTIME)
    if settings.workload.model is None:
        for pipeline in settings.workload.pipelines:
            if not _ran(clients("sagemaker"), settings, pipeline):
                found["runs"][pipeline] = model.run(str(stack), pipeline, {}, report)
        return found
    if status.served(clients, endpoint)["endpoint_status"] is None:
        for pipeline in settings.workload.pipelines:
            found["runs"][pipeline] = model.run(str(stack), pipeline, {}, report)
        reason = "first model of this environment"
        found["approve"] = model.approve(str(stack), None, reason, report)
        found["promote"] = model.promote(str(stack), None, report)
        found["deployment"] = deploy.up(str(stack), report)
    found["predict"] = model.predict(str(stack), report)
    return found


def _ran(sagemaker: Any, settings: WorkloadSettings, pipeline: str) -> bool:
    """Whether a run of a pipeline has succeeded."""
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=settings.names.of(pipeline)
    )
    return any(
        execution["PipelineExecutionStatus"] == "Succeeded"
        for page in pages
        for execution in page["PipelineExecutionSummaries"]
    )
