"""Executes a plan: every step as soon as what it needs has succeeded, in parallel threads.

One scheduling loop owns all decisions; a worker thread drives one step and returns how it ended.
After a failed job, running steps finish and no other starts, unless a step waits for just that
failure: then the execution goes on without what needed the failed step, and ends as
CompletedWithFailures. A Fail step and a stop request also stop the jobs that are running. Steps of
a branch not taken, and all that need them, never start.
"""

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pipelines.executor import parameters
from pipelines.executor.attempts import run_step
from pipelines.executor.drivers import FIRST_POLL_SECONDS, Services, short
from pipelines.executor.grammar import Context, GrammarError
from pipelines.executor.model import Callback, Execution, Outcome, Result, StepState
from pipelines.executor.plan import Plan, PlannedStep, plan


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
        return Outcome(status="Failed", failure_reason=short("; ".join(problems)))
    services = Services(
        client=client,
        observe=_one_at_a_time(observe),
        halt=threading.Event(),
        past=past,
        expect=expect,
    )
    context = _first_context(planned, parameters, execution, client)
    steps = [step for step in planned.steps if selected is None or step.name in selected]
    with ThreadPoolExecutor(len(planned.steps), thread_name_prefix="step") as pool:
        try:
            schedule = _Schedule(steps, context, services, max_parallel_steps)
            schedule.keep(planned, kept)
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
        property_files={step.name: step.property_files for step in planned.steps},
        read_json=lambda uri: _read_json(client("s3"), uri),
    )


def _one_at_a_time(observe: Callable[[StepState], None]) -> Callable[[StepState], None]:
    lock = threading.Lock()

    def observed(state: StepState) -> None:
        with lock:
            observe(state)

    return observed


class _Schedule:
    """Which steps are waiting, running, ended and skipped."""

    def __init__(
        self,
        steps: Sequence[PlannedStep],
        context: Context,
        services: Services,
        most: Callable[[], int | None],
    ) -> None:
        self.waiting = {step.name: step for step in steps}
        self.running: dict[Future[StepState], PlannedStep] = {}
        self.context = context
        self.services = services
        self.most = most
        self.ends: dict[str, str] = {}
        self.gone: set[str] = set()
        self.failure = ""
        self.survived = ""
        self.stopped = False

    def keep(self, planned: Plan, kept: Mapping[str, Result]) -> None:
        """Take results that there are before anything runs."""
        for step in planned.steps:
            if step.name in kept:
                self.waiting.pop(step.name, None)
                self._succeed(step, kept[step.name])

    def follow(self, pool: ThreadPoolExecutor, stopping: Callable[[], bool]) -> Outcome:
        """Start what is ready and take in what ended until nothing is left."""
        while True:
            if not self.stopped and stopping():
                self.stopped = bool(self.waiting or self.running)
                self.services.halt.set()
            self._start_ready(pool)
            if not self.running:
                break
            done, _ = wait(self.running, FIRST_POLL_SECONDS, FIRST_COMPLETED)
            for future in done:
                self._take_in(self.running.pop(future), future.result())
        if self.failure:
            return Outcome(status="Failed", failure_reason=short(self.failure))
        if self.stopped:
            return Outcome(status="Stopped", failure_reason="the execution was stopped")
        if self.survived:
            return Outcome(status="CompletedWithFailures", failure_reason=short(self.survived))
        return Outcome(status="Succeeded")

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        if self.failure or self.stopped:
            return
        ready = [step for step in self.waiting.values() if self._is_ready(step)]
        limit = self.most()
        room = len(ready) if limit is None else max(0, limit - len(self.running))
        for step in ready[:room]:
            del self.waiting[step.name]
            self.running[pool.submit(run_step, step, self.context, self.services)] = step

    def _is_ready(self, step: PlannedStep) -> bool:
        return step.needs <= self.context.answers.keys() and all(
            _fires(trigger, self.ends.get(need)) for need, trigger in step.triggers.items()
        )

    def _take_in(self, step: PlannedStep, state: StepState) -> None:
        self.ends[step.name] = state.status
        if state.result is not None:
            self._succeed(step, state.result)
            return
        reason = state.failure_reason
        triggers = [item.triggers.get(step.name, "") for item in self.waiting.values()]
        if not self.stopped and any(_fires(trigger, state.status) for trigger in triggers):
            self.survived = self.survived or f"step {step.name!r} ended as {state.status}: {reason}"
            self._drop_unreachable()
        elif state.status == "Stopped":
            self.stopped = True
        elif not self.failure:
            is_fail = step.type == "Fail"
            self.failure = reason if is_fail else f"step {step.name!r} failed: {reason}"
            if is_fail:
                self.services.halt.set()

    def _succeed(self, step: PlannedStep, result: Result) -> None:
        self.ends[step.name] = "Succeeded"
        answers = {**self.context.answers, step.name: result.answer}
        self.context = replace(self.context, answers=MappingProxyType(answers))
        if step.type == "Condition":
            not_taken = (step.name, result.answer["Outcome"] == "False")
            branch = [item.name for item in self.waiting.values() if item.branch == not_taken]
            self.gone.update(branch)
        self._drop_unreachable()

    def _drop_unreachable(self) -> None:
        """Forget the steps that can never start, and those that wait for them."""
        while True:
            dead = [step.name for step in self.waiting.values() if self._never_starts(step)]
            for name in dead:
                del self.waiting[name]
            self.gone.update(dead)
            if not dead:
                return

    def _never_starts(self, step: PlannedStep) -> bool:
        waits_for = dict.fromkeys(step.needs, "Succeeded") | dict(step.triggers)
        return step.name in self.gone or any(
            need in self.gone or (need in self.ends and not _fires(trigger, self.ends[need]))
            for need, trigger in waits_for.items()
        )


def _fires(trigger: str, end: str | None) -> bool:
    """Whether the end of a step is one that another step waits for."""
    return end is not None and trigger in ("Any", end)


def _read_json(s3: Any, uri: str) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        return json.loads(body)
    except ValueError as error:
        raise GrammarError(f"{uri} is not JSON: {error}") from error
