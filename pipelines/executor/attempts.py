"""One step to its end: an earlier result from the cache, or as many tries as its policies allow."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pipelines.executor import (
    cache,
    checks,
    cleanup,
    drivers,
    external,
    foreach,
    lineage,
    retries,
    spark_steps,
)
from pipelines.executor.drivers import (
    JOB_NAME_LENGTH,
    Call,
    End,
    Ended,
    Progress,
    Services,
    job_name,
    short,
)
from pipelines.executor.grammar import Context, GrammarError, resolve
from pipelines.executor.model import Result, StepState
from pipelines.executor.planned import PlannedStep
from pipelines.executor.runners import RUNNERS

DRIVERS: Mapping[str, Callable[[Call, Services, Progress], End]] = {
    **dict.fromkeys(checks.CHECKS, checks.check),
    "Callback": external.call_back,
    "Cleanup": cleanup.clean,
    "Condition": drivers.decide,
    "EMR": spark_steps.on_cluster,
    "EMRServerless": spark_steps.serverless,
    "Fail": drivers.fail,
    "ForEach": foreach.run_each,
    "Lambda": external.invoke,
    "Lineage": lineage.record,
}
"""Step type -> what drives it. All others are jobs and resources of SageMaker's API."""


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """How a try ended, and what later executions know it by."""

    end: End
    compared: Mapping[str, Any]
    reused: Result | None = None
    """Default: it ran."""


def run_step(step: PlannedStep, context: Context, services: Services) -> Ended:
    """Drive one step to its end."""
    began, retried = time.monotonic(), Counter[retries.RetryPolicy]()
    state = StepState(
        name=step.name,
        type=step.type,
        status="Starting",
        start_time=_now(),
        display_name=step.display_name,
        description=step.description,
        iteration=step.iteration,
    )
    services.observe(state)
    progress = Progress(state, services.observe)
    while True:
        tried = _try(step, context, services, progress)
        end = tried.end
        policy = retries.chosen(step.retry_policies, end.fault, step.type)
        if policy is None:
            told = retries.not_tried_again(end.fault, context.execution.execution_arn, step.name)
            end = end._replace(reason=end.reason + told)
            break
        seconds = policy.wait_seconds(retried[policy], time.monotonic() - began)
        if seconds is None:
            break
        if services.halt.wait(seconds):
            end = End("Stopped", f"stopped before it was tried again: {end.reason}")
            break
        retried[policy] += 1
        progress.move(status="Starting", attempt=progress.state.attempt + 1)
    _finish(progress, end, tried, context)
    return Ended(progress.state, end.answer)


def _finish(progress: Progress, end: End, tried: _Tried, context: Context) -> None:
    ended, result, state = _now(), tried.reused, progress.state
    if end.status == "Succeeded" and result is None:
        result = Result(
            step=state.name,
            type=state.type,
            execution_arn=context.execution.execution_arn,
            ended=ended,
            answer=end.answer,
            metadata=state.metadata,
            compared=tried.compared,
        )
    progress.move(
        status=end.status,
        end_time=ended,
        failure_reason=short(end.reason),
        result=result,
        cached=tried.reused is not None,
        metadata=tried.reused.metadata if tried.reused else state.metadata,
    )


def _try(step: PlannedStep, context: Context, services: Services, progress: Progress) -> _Tried:
    """One try of a step; what AWS or the definition refuses is its failure."""
    # Only loaded when something runs: the caller's clients are botocore's.
    from botocore.exceptions import BotoCoreError, ClientError

    attributes: Mapping[str, Any] = {}
    try:
        runner = RUNNERS.get(step.type)
        name = job_name(
            context.execution,
            step.name,
            progress.state.attempt,
            _prefix(step, context),
            runner.name_length if runner else JOB_NAME_LENGTH,
        )
        named = replace(context, job_name=name)
        arguments, own = resolve(step.arguments, named), resolve(step.own, named)
        attributes = cache.compared(step.type, arguments, own)
        if step.cache_lifetime is not None:
            oldest = _now() - step.cache_lifetime
            past = services.past(step.name)
            found = cache.hit(step.type, attributes, past, not_before=oldest)
            if found is not None:
                end = End("Succeeded", answer=found.answer)
                return _Tried(end=end, compared=attributes, reused=found)
        call = Call(step=step, context=named, arguments=arguments, own=own)
        drive = DRIVERS.get(step.type, drivers.run_job)
        return _Tried(end=drive(call, services, progress), compared=attributes)
    except (GrammarError, BotoCoreError, ClientError) as error:
        end = End("Failed", drivers.refused(error), fault=retries.of_error(error))
        return _Tried(end=end, compared=attributes)


def _prefix(step: PlannedStep, context: Context) -> str:
    """How a definition wants the names of a step's jobs to begin; empty where it does not say."""
    runner = RUNNERS.get(step.type)
    return str(resolve(step.arguments.get(runner.name_field, ""), context)) if runner else ""


def _now() -> datetime:
    return datetime.now(UTC)
