"""Decides which step starts when: as soon as what it waits for has ended so, up to a limit.

After a failed job, running steps finish and no other starts, unless a step waits for just that
failure: then the execution goes on without what needed the failed step, and ends as
CompletedWithFailures. Steps of a branch not taken, and all that need them, never start.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pipelines.executor.drivers import (
    EXECUTION_REASON_LENGTH,
    FIRST_POLL_SECONDS,
    Ended,
    Services,
    short,
)
from pipelines.executor.grammar import Context
from pipelines.executor.model import Outcome
from pipelines.executor.planned import PlannedStep

STEP_FAILURE = "Step failure: One or multiple steps failed."
"""What DescribePipelineExecution says of every execution that a step failed; the step says why."""


class Schedule:
    """Which steps are waiting, running, ended and never to start."""

    def __init__(
        self,
        steps: Sequence[PlannedStep],
        context: Context,
        services: Services,
        most: Callable[[], int | None],
    ) -> None:
        self.waiting = {step.known_as: step for step in steps}
        self.running: dict[Future[Ended], PlannedStep] = {}
        self.context = context
        self.services = services
        self.most = most
        self.ends: dict[str, str] = {}
        self.gone: set[str] = set()
        self.failure = ""
        self.survived = ""
        self.stopped = False

    def keep(self, steps: Sequence[PlannedStep]) -> None:
        """Take results that there are before anything runs."""
        kept = self.services.kept
        for step in steps:
            if step.name in kept:
                self.waiting.pop(step.known_as, None)
                self._take_in(step, "Succeeded", kept[step.name].answer)

    def follow(self, pool: ThreadPoolExecutor, stopping: Callable[[], bool]) -> Outcome:
        """Start what is ready and take in what ended until nothing is left."""
        while True:
            if not self.stopped and stopping():
                self.stopped = bool(self.waiting or self.running)
                self.services.halt.set()
            self.start_ready(pool)
            if not self.running:
                return self.outcome()
            done, _ = wait(self.running, FIRST_POLL_SECONDS, FIRST_COMPLETED)
            self.end(done)

    def outcome(self) -> Outcome:
        """How it ended, once nothing runs any more."""
        if self.failure:
            return Outcome(status="Failed", failure_reason=STEP_FAILURE)
        if self.stopped:
            return Outcome(status="Stopped", failure_reason="the execution was stopped")
        if self.survived:
            return Outcome(status="CompletedWithFailures", failure_reason=_short(self.survived))
        return Outcome(status="Succeeded")

    def start_ready(self, pool: ThreadPoolExecutor) -> None:
        """Start the steps that may start now."""
        if self.failure or self.stopped:
            return
        ready = [step for step in self.waiting.values() if self._is_ready(step)]
        limit = self.most()
        room = len(ready) if limit is None else max(0, limit - len(self.running))
        for step in ready[:room]:
            del self.waiting[step.known_as]
            future = pool.submit(self.services.run_step, step, self.context, self.services)
            self.running[future] = step

    def end(self, done: set[Future[Ended]]) -> None:
        """Take in what ended, if it is of this schedule."""
        for future in done & self.running.keys():
            step, (state, answer) = self.running.pop(future), future.result()
            self._take_in(step, state.status, answer, state.failure_reason)

    def _is_ready(self, step: PlannedStep) -> bool:
        return all(_fires(how, self.ends.get(need)) for need, how in step.waits_for.items())

    def _take_in(
        self, step: PlannedStep, status: str, answer: Mapping[str, Any], reason: str = ""
    ) -> None:
        name = step.known_as
        self.ends[name] = status
        answers = {**self.context.answers, name: answer}
        self.context = replace(self.context, answers=MappingProxyType(answers))
        if status == "Succeeded":
            if step.type == "Condition":
                not_taken = (name, answer["Outcome"] == "False")
                others = [key for key, one in self.waiting.items() if one.branch == not_taken]
                self.gone.update(others)
            self._drop_unreachable()
            return
        triggers = [item.triggers.get(name, "") for item in self.waiting.values()]
        if not self.stopped and any(_fires(trigger, status) for trigger in triggers):
            self.survived = self.survived or f"step {step.name!r} ended as {status}: {reason}"
            self._drop_unreachable()
        elif status == "Stopped":
            self.stopped = True
        elif not self.failure:
            is_fail = step.type == "Fail"
            self.failure = reason if is_fail else f"step {step.name!r} failed: {reason}"
            if is_fail:
                self.services.halt.set()

    def _drop_unreachable(self) -> None:
        """Forget the steps that can never start, and those that wait for them."""
        while True:
            dead = [name for name, step in self.waiting.items() if self._never_starts(step)]
            for name in dead:
                del self.waiting[name]
            self.gone.update(dead)
            if not dead:
                return

    def _never_starts(self, step: PlannedStep) -> bool:
        return step.known_as in self.gone or any(
            need in self.gone or (need in self.ends and not _fires(how, self.ends[need]))
            for need, how in step.waits_for.items()
        )


def _short(reason: str) -> str:
    return short(reason, EXECUTION_REASON_LENGTH)


def _fires(trigger: str, end: str | None) -> bool:
    """Whether the end of a step is one that another step waits for."""
    return end is not None and trigger in ("Any", end)
