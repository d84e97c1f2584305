"""Why a step of an execution was taken from the cache, or was not: told through SageMaker's API.

SageMaker says which execution a cached step came from (CacheHitResult) and nothing about a step
that ran although its cache is on. What it compared is in the jobs, and where a job does not hold
it in the definition and the parameters: this asks for the last run of the step that succeeded and
names what differs. It works in an account as on the local cloud.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.executor import cache
from pipelines.executor.grammar import Reference, findings
from pipelines.executor.plan import plan
from pipelines.executor.planned import PlannedStep
from pipelines.executor.runners import RUNNERS

EXECUTIONS = 20
"""Executions before this one that are searched for an earlier success of a step."""

ENDED = ("Succeeded", "Failed", "Stopped")


@dataclass(frozen=True, eq=False)
class Execution:
    """One execution, as far as it is asked for."""

    sagemaker: Any
    arn: str

    @functools.cached_property
    def steps(self) -> dict[str, PlannedStep]:
        """What its definition says of its steps, with those in the bodies of ForEach steps."""
        answer = self.sagemaker.describe_pipeline_definition_for_execution(
            PipelineExecutionArn=self.arn
        )
        planned = plan(json.loads(answer["PipelineDefinition"]))[0]
        return {step.name: step for outer in planned.steps for step in (outer, *outer.body)}

    @functools.cached_property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """How its steps went."""
        return rows_of(self.sagemaker, self.arn)

    @functools.cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters that it was started with."""
        found = self.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=self.arn)
        return {entry["Name"]: entry["Value"] for entry in found["PipelineParameters"]}

    def planned(self, row: Mapping[str, Any]) -> PlannedStep | None:
        """The step that a row is of: a child of a ForEach step is called after one of its body."""
        name = row["StepName"]
        return self.steps.get(name.rpartition("-")[0] if "IterationContext" in row else name)


def rows_of(sagemaker: Any, execution_arn: str) -> list[dict[str, Any]]:
    """All steps of an execution, the first to begin first: a ForEach step alone can have pages."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=execution_arn, SortOrder="Ascending"
    )
    return [row for page in pages for row in page["PipelineExecutionSteps"]]


def explain(
    sagemaker: Any, execution_arn: str, steps: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Step whose cache is on -> `hit`, the `source` of the result and the `reasons` of a miss."""
    execution, found = Execution(sagemaker, execution_arn), dict[str, dict[str, Any]]()
    earlier: list[Execution] | None = None
    for row in steps:
        step = execution.planned(row)
        if step is None or step.cache_lifetime is None or row["StepStatus"] not in ENDED:
            continue
        if "CacheHitResult" in row:
            source = row["CacheHitResult"]["SourcePipelineExecutionArn"]
            found[row["StepName"]] = {"hit": True, "source": source, "reasons": []}
        elif "SelectiveExecutionResult" not in row:
            earlier = earlier if earlier is not None else list(_earlier(execution))
            reasons = _reasons(execution, step, row, earlier)
            found[row["StepName"]] = {"hit": False, "source": None, "reasons": reasons}
    return found


def _earlier(execution: Execution) -> Iterator[Execution]:
    """The executions of the same pipeline that began before, newest first."""
    listed = execution.sagemaker.list_pipeline_executions(
        PipelineName=execution.arn.partition(":pipeline/")[2].partition("/")[0],
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=100,
    )["PipelineExecutionSummaries"]
    arns = [summary["PipelineExecutionArn"] for summary in listed]
    if execution.arn in arns:
        arns = arns[arns.index(execution.arn) + 1 :]
    return (Execution(execution.sagemaker, arn) for arn in arns[:EXECUTIONS])


def _reasons(
    execution: Execution,
    step: PlannedStep,
    row: Mapping[str, Any],
    earlier: Sequence[Execution],
) -> list[str]:
    ran = next(
        ((run, old) for run in earlier for old in run.rows if _is_run(old, row["StepName"])), None
    )
    if ran is None:
        return ["no earlier run of this step succeeded"]
    before, old = ran
    then, now = (_attributes(execution.sagemaker, step, made) for made in (old, row))
    if then is not None and now is not None:
        return list(cache.differences(then, now)) or [_age(step, old, row)]
    return _of_definitions(before, before.planned(old), execution, step) or [_age(step, old, row)]


def _is_run(row: Mapping[str, Any], name: str) -> bool:
    reused = row.keys() & {"CacheHitResult", "SelectiveExecutionResult"}
    return row["StepName"] == name and row["StepStatus"] == "Succeeded" and not reused


def _of_definitions(
    before: Execution, was: PlannedStep | None, execution: Execution, step: PlannedStep
) -> list[str]:
    """What differs in what two definitions say of a step, and in the parameters that it uses."""
    then, now = (
        cache.compared(one.type, one.arguments, one.own) if one else {} for one in (was, step)
    )
    used = {
        finding.what.name
        for finding in findings(now, "")
        if isinstance(finding.what, Reference) and finding.what.scope == "Parameters"
    }
    old, new = (
        {f"parameter {name}": run.parameters.get(name) for name in sorted(used)}
        for run in (before, execution)
    )
    return [*cache.differences(then, now), *cache.differences(old, new)]


def _age(step: PlannedStep, before: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Why a run of which nothing differs was not used again."""
    ended: datetime = before["EndTime"]
    began: datetime = row["StartTime"]
    if step.cache_lifetime is not None and ended + step.cache_lifetime < began:
        return f"the last success ended at {ended:%Y-%m-%d %H:%M}, longer ago than ExpireAfter"
    if ended > began:
        return "the last success ended after this step had begun"
    return "only what steps before it answered can differ from the last success"


def _attributes(sagemaker: Any, step: PlannedStep, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the cache compares, read from the job that a step made; None: a job does not hold it."""
    runner = RUNNERS.get(step.type)
    if runner is None or step.own or cache.KEYS[step.type] == cache.EVERYTHING:
        return None
    arn = row.get("Metadata", {}).get(runner.metadata_key, {}).get("Arn")
    if arn is None:
        return None
    identity = {runner.name_field: arn.rpartition("/")[2]}
    return cache.compared(step.type, getattr(sagemaker, runner.describe)(**identity), {})
