"""What is live behind an execution of a pipeline: the executor in a thread, steps and results."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipelines.executor.model import Callback, Execution, Iteration, Result, StepState
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.pipelines import executions_of
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource


@dataclass(kw_only=True, eq=False)
class Run:
    """What is live behind an execution."""

    definition: str
    parameters: Mapping[str, str]
    token: str
    stopping: threading.Event = field(default_factory=threading.Event)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Step name -> its PipelineExecutionStep, in order of first appearance."""
    results: dict[str, Result] = field(default_factory=dict)
    """What the steps that succeeded leave to later executions."""
    callbacks: dict[str, Callback] = field(default_factory=dict)
    """Token -> the step that waits, or waited, for it."""
    answers: dict[str, str] = field(default_factory=dict)
    """Token -> the ClientRequestToken that answered it."""
    selected: frozenset[str] | None = None
    """Steps that a selective execution runs. Default: all of them."""
    retried: int = 0
    """How often it was started once more. Default: never."""
    retry_token: str = ""
    """The ClientRequestToken of the last retry. Default: nobody retried it."""

    def reuse(self, step: str, source: "Run", source_arn: str) -> None:
        """Take the result of a step of another execution: it does not run in this one."""
        self.results[step] = source.results[step]
        reused = {"SelectiveExecutionResult": {"SourcePipelineExecutionArn": source_arn}}
        self.steps[step] = {**source.steps[step], **reused}

    def again(self, token: str) -> None:
        """Forget the steps that did not succeed, and be ready for one more run."""
        self.retried, self.retry_token = self.retried + 1, token
        self.stopping = threading.Event()
        self.steps = {name: step for name, step in self.steps.items() if name in self.results}


def launch(emulator: Emulator, pipeline: Resource, item: Resource) -> None:
    """Hand an execution to the executor, in a thread."""
    from pipelines.executor import run

    live: Run = item.live

    def work() -> None:
        acting = emulator.act(item.fields["RoleArn"], item.arn)
        outcome = run.run(
            json.loads(live.definition),
            parameters=live.parameters,
            execution=_execution(emulator, pipeline, item),
            client=acting.client,
            observe=partial(_observe, emulator, item),
            stopping=live.stopping.is_set,
            past=partial(_past, emulator, pipeline),
            expect=partial(_expect, emulator, live),
            kept=dict(live.results),
            selected=live.selected,
            max_parallel_steps=partial(_parallel_steps, item),
        )
        reason = outcome.failure_reason or None
        item.set(PipelineExecutionStatus=outcome.status, FailureReason=reason)

    def broken(error: BaseException) -> None:
        reason = f"InternalServerError: {error!r}"
        item.set(PipelineExecutionStatus="Failed", FailureReason=reason)

    emulator.background(work, broken=broken, waits=True)


def _observe(emulator: Emulator, item: Resource, state: StepState) -> None:
    with emulator.store.lock:
        item.live.steps[state.name] = _step(state)
        if state.result is not None:
            item.live.results[state.name] = state.result
        item.modified = now()


def _past(emulator: Emulator, pipeline: Resource, step: str) -> Sequence[Result]:
    """The results of a step in every execution of its pipeline."""
    with emulator.store.lock:
        known = [execution.live.results for execution in executions_of(emulator, pipeline)]
        return [results[step] for results in known if step in results]


def _expect(emulator: Emulator, live: Run, callback: Callback) -> None:
    with emulator.store.lock:
        live.callbacks[callback.token] = callback


def _parallel_steps(item: Resource) -> int | None:
    limit: int | None = item.fields.get("ParallelismConfiguration", {}).get(
        "MaxParallelExecutionSteps"
    )
    return limit


def _execution(emulator: Emulator, pipeline: Resource, item: Resource) -> Execution:
    return Execution(
        pipeline_name=pipeline.name,
        pipeline_arn=pipeline.arn,
        execution_id=item.name.rpartition("/")[2],
        execution_arn=item.arn,
        start_time=item.created,
        retried=item.live.retried,
        tags=dict(emulator.store.tags.get(pipeline.arn, {})),
    )


def _step(state: StepState) -> dict[str, Any]:
    """A step as ListPipelineExecutionSteps shows it."""
    source = state.result.execution_arn if state.result is not None and state.cached else ""
    members = {
        "StepName": state.name,
        "StepDisplayName": state.display_name or state.name,
        "StepDescription": state.description,
        "StepStatus": state.status,
        "StartTime": state.start_time,
        "EndTime": state.end_time,
        "FailureReason": state.failure_reason,
        "Metadata": state.metadata,
        "AttemptCount": state.attempt,
        "IterationContext": _iteration(state.iteration),
        "CacheHitResult": {"SourcePipelineExecutionArn": source} if source else None,
    }
    return {name: value for name, value in members.items() if value}


def _iteration(found: Iteration | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"ParentStepName": found.parent, "Index": found.index, "Item": found.item}
