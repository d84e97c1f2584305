"""Why a step of an execution was taken from the cache, or was not: told through SageMaker's API.

SageMaker says which execution a cached step came from (CacheHitResult) and nothing about a step
that ran although its cache is on. What it compared is in the jobs: this asks for the last run of
the step that succeeded and names what differs. It works in an account as on the local cloud.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pipelines.executor import cache
from pipelines.executor.plan import plan
from pipelines.executor.runners import RUNNERS

EXECUTIONS = 20
"""Executions before this one that are searched for an earlier success of a step."""


def explain(sagemaker: Any, execution_arn: str, steps: list[Any]) -> dict[str, dict[str, Any]]:
    """Step whose cache is on -> `hit`, the `source` of the result and the `reasons` of a miss."""
    answer = sagemaker.describe_pipeline_definition_for_execution(
        PipelineExecutionArn=execution_arn
    )
    planned = plan(json.loads(answer["PipelineDefinition"]))[0]
    cached = {step.name: step for step in planned.steps if step.cache_lifetime is not None}
    found: dict[str, dict[str, Any]] = {}
    earlier: list[list[Any]] | None = None
    for row in steps:
        step = cached.get(row["StepName"])
        if step is None or row["StepStatus"] not in ("Succeeded", "Failed", "Stopped"):
            continue
        if "CacheHitResult" in row:
            source = row["CacheHitResult"]["SourcePipelineExecutionArn"]
            found[step.name] = {"hit": True, "source": source, "reasons": []}
            continue
        if earlier is None:
            earlier = list(_earlier(sagemaker, execution_arn))
        reasons = _reasons(sagemaker, step, row, earlier)
        found[step.name] = {"hit": False, "source": None, "reasons": reasons}
    return found


def _earlier(sagemaker: Any, execution_arn: str) -> Iterator[list[Any]]:
    """The steps of each execution of the same pipeline that began before, newest first."""
    listed = sagemaker.list_pipeline_executions(
        PipelineName=execution_arn.partition(":pipeline/")[2].partition("/")[0],
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=100,
    )["PipelineExecutionSummaries"]
    arns = [summary["PipelineExecutionArn"] for summary in listed]
    if execution_arn in arns:
        arns = arns[arns.index(execution_arn) + 1 :]
    for arn in arns[:EXECUTIONS]:
        yield sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)[
            "PipelineExecutionSteps"
        ]


def _reasons(sagemaker: Any, step: Any, row: Mapping[str, Any], earlier: list[Any]) -> list[str]:
    before = next(
        (
            old
            for steps in earlier
            for old in steps
            if old["StepName"] == step.name
            and old["StepStatus"] == "Succeeded"
            and "CacheHitResult" not in old
        ),
        None,
    )
    if before is None:
        return ["no earlier run of this step succeeded"]
    then, now = _attributes(sagemaker, step.type, before), _attributes(sagemaker, step.type, row)
    if then is None or now is None:
        return [f"SageMaker shows nothing of this {step.type} step to compare"]
    return list(cache.differences(then, now)) or [_age(step, before, row)]


def _age(step: Any, before: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Why a run of which nothing differs was not used again."""
    ended: datetime = before["EndTime"]
    began: datetime = row["StartTime"]
    if ended + step.cache_lifetime < began:
        return f"the last success ended at {ended:%Y-%m-%d %H:%M}, longer ago than ExpireAfter"
    if ended > began:
        return "the last success ended after this step had begun"
    return "nothing that SageMaker compares differs from the last success"


def _attributes(sagemaker: Any, step_type: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the cache compares, read from the job that a step made."""
    runner = RUNNERS.get(step_type)
    arn = row.get("Metadata", {}).get(runner.metadata_key, {}).get("Arn") if runner else None
    if runner is None or arn is None:
        return None
    identity = {runner.describe_field or runner.name_field: arn.rpartition("/")[2]}
    return cache.compared(step_type, getattr(sagemaker, runner.describe)(**identity), {})
