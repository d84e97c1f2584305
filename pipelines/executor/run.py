"""Executes a plan: every step as soon as what it needs has succeeded, in parallel threads.

One scheduling loop owns all decisions; a worker thread drives one step and returns how it ended. A
Fail step and a stop request also stop the jobs that are running.
"""

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

from pipelines.executor import parameters
from pipelines.executor.attempts import run_step
from pipelines.executor.drivers import EXECUTION_REASON_LENGTH, Services, short
from pipelines.executor.grammar import Context, GrammarError
from pipelines.executor.model import Callback, Execution, Outcome, Result, StepState
from pipelines.executor.plan import plan
from pipelines.executor.planned import Plan
from pipelines.executor.schedule import Schedule


def run(
    definition: Mapping[str, Any],
    *,
    parameters: Mapping[str, str],
    execution: Execution,
    client: Callable[[str], Any],
    observe: Callable[[StepState], None],
    stopping: Callable[[], bool],
    past: Callable[[str], Sequence[Result]] = lambda _: (),
    expect: Callable[[Callback], None] = lambda _: None,
    kept: Mapping[str, Result] = MappingProxyType({}),
    selected: Collection[str] | None = None,
    max_parallel_steps: Callable[[], int | None] = lambda: None,
) -> Outcome:
    """Run a definition to its end. `observe` is called by one thread at a time.

    `client` gives a client of a service that acts as the execution does, `past` the results of a
    step of earlier executions of the pipeline, for the step cache. `expect` hears of each callback;
    whoever is given its token answers it. The steps of `kept` have their results and do not run;
    of the others only those `selected` do, or all.
    `max_parallel_steps` (ParallelismConfiguration) is asked as the run goes on, for it may change;
    None lets all steps that are ready run at once.
    """
    planned, problems = plan(definition)
    problems = problems or _parameter_problems(planned, parameters)
    if problems:
        return Outcome(
            status="Failed", failure_reason=short("; ".join(problems), EXECUTION_REASON_LENGTH)
        )
    services = Services(
        client=client,
        observe=_one_at_a_time(observe),
        halt=threading.Event(),
        past=past,
        expect=expect,
        kept=kept,
        run_step=run_step,
    )
    context = _first_context(planned, parameters, execution, client)
    steps = [step for step in planned.steps if selected is None or step.name in selected]
    with ThreadPoolExecutor(len(planned.steps), thread_name_prefix="step") as pool:
        try:
            schedule = Schedule(steps, context, services, max_parallel_steps)
            schedule.keep(planned.steps)
            return schedule.follow(pool, stopping)
        finally:
            services.halt.set()  # a fault of ours must not leave workers waiting for their jobs


def _parameter_problems(planned: Plan, given: Mapping[str, str]) -> list[str]:
    return parameters.problems_with(planned.parameters, given)


def _first_context(
    planned: Plan, given: Mapping[str, str], execution: Execution, client: Callable[[str], Any]
) -> Context:
    return Context(
        parameters=MappingProxyType(parameters.values(planned.parameters, given)),
        execution=execution,
        answers=MappingProxyType({}),
        property_files={
            step.name: step.property_files
            for outer in planned.steps
            for step in (outer, *outer.body)
        },
        read_json=lambda uri: _read_json(client("s3"), uri),
    )


def _one_at_a_time(observe: Callable[[StepState], None]) -> Callable[[StepState], None]:
    lock = threading.Lock()

    def observed(state: StepState) -> None:
        with lock:
            observe(state)

    return observed


def _read_json(s3: Any, uri: str) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        return json.loads(body)
    except ValueError as error:
        raise GrammarError(f"{uri} is not JSON: {error}") from error
