"""Executes a plan: every step as soon as what it needs has succeeded, in parallel threads.

One scheduling loop owns all decisions; a worker thread drives one step and returns how it ended.
After a failed job, running steps finish and no other starts. A Fail step and a stop request also
stop the jobs that are running. Steps of a branch not taken, and all that need them, never start.
"""

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from pipelines.executor import conditions, parameters, retries
from pipelines.executor.grammar import Context, GrammarError, resolve, text_of
from pipelines.executor.model import Execution, Outcome, StepState
from pipelines.executor.plan import Plan, PlannedStep, plan
from pipelines.executor.runners import RUNNERS, Runner

FIRST_POLL_SECONDS = 0.05
LAST_POLL_SECONDS = 0.5
_POLL_GROWTH = 1.5
_JOB_NAME_LENGTH = 63
_HASH_LENGTH = 10
_REASON_LENGTH = 3072  # AWS's limit of an execution's FailureReason


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """How a step ended, and what later steps can refer to."""

    state: StepState
    answer: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Services:
    """What a worker thread needs beside its step."""

    sagemaker: Any
    s3: Any
    observe: Callable[[StepState], None]
    halt: threading.Event
    """Set when running jobs are to be stopped."""


def run(
    definition: Mapping[str, Any],
    *,
    parameters: Mapping[str, str],
    execution: Execution,
    sagemaker: Any,
    s3: Any,
    observe: Callable[[StepState], None],
    stopping: Callable[[], bool],
    max_parallel_steps: int | None = None,
) -> Outcome:
    """Run a definition to its end. `observe` is called by one thread at a time.

    Without `max_parallel_steps` (ParallelismConfiguration) all steps that are ready run at once.
    """
    planned, problems = plan(definition)
    problems = problems or _parameter_problems(planned, parameters)
    if problems:
        return Outcome(status="Failed", failure_reason=_short("; ".join(problems)))
    services = _Services(
        sagemaker=sagemaker, s3=s3, observe=_one_at_a_time(observe), halt=threading.Event()
    )
    context = _first_context(planned, parameters, execution, s3)
    workers = max(1, min(max_parallel_steps or len(planned.steps), len(planned.steps)))
    with ThreadPoolExecutor(workers, thread_name_prefix="step") as pool:
        try:
            return _Schedule(planned, context, services, workers).follow(pool, stopping)
        finally:
            services.halt.set()  # a fault of ours must not leave workers waiting for their jobs


def _parameter_problems(planned: Plan, given: Mapping[str, str]) -> list[str]:
    return parameters.problems_with(planned.parameters, given)


def _first_context(
    planned: Plan, given: Mapping[str, str], execution: Execution, s3: Any
) -> Context:
    return Context(
        parameters=MappingProxyType(parameters.values(planned.parameters, given)),
        execution=execution,
        answers=MappingProxyType({}),
        property_files={step.name: step.property_files for step in planned.steps},
        read_json=lambda uri: _read_json(s3, uri),
    )


def _one_at_a_time(observe: Callable[[StepState], None]) -> Callable[[StepState], None]:
    lock = threading.Lock()

    def observed(state: StepState) -> None:
        with lock:
            observe(state)

    return observed


class _Schedule:
    """Which steps are waiting, running, ended and skipped."""

    def __init__(self, planned: Plan, context: Context, services: _Services, workers: int) -> None:
        self.waiting = {step.name: step for step in planned.steps}
        self.running: dict[Future[_Ended], PlannedStep] = {}
        self.context = context
        self.services = services
        self.workers = workers
        self.failure = ""
        self.stopped = False

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
            return Outcome(status="Failed", failure_reason=_short(self.failure))
        if self.stopped:
            return Outcome(status="Stopped", failure_reason="the execution was stopped")
        return Outcome(status="Succeeded")

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        if self.failure or self.stopped:
            return
        succeeded = self.context.answers.keys()
        ready = [step for step in self.waiting.values() if step.needs <= succeeded]
        for step in ready[: self.workers - len(self.running)]:
            del self.waiting[step.name]
            self.running[pool.submit(_run_step, step, self.context, self.services)] = step

    def _take_in(self, step: PlannedStep, ended: _Ended) -> None:
        state = ended.state
        if state.status == "Succeeded":
            answers = {**self.context.answers, step.name: ended.answer}
            self.context = replace(self.context, answers=MappingProxyType(answers))
            self._skip_branch_not_taken(step, ended.answer)
        elif state.status == "Stopped":
            self.stopped = True
        elif not self.failure:
            is_fail = step.type == "Fail"
            reason = state.failure_reason
            self.failure = reason if is_fail else f"step {step.name!r} failed: {reason}"
            if is_fail:
                self.services.halt.set()

    def _skip_branch_not_taken(self, step: PlannedStep, answer: Mapping[str, Any]) -> None:
        if step.type != "Condition":
            return
        not_taken = (step.name, answer["Outcome"] == "False")
        skipped = {item.name for item in self.waiting.values() if item.branch == not_taken}
        while skipped:
            for name in skipped:
                del self.waiting[name]
            skipped = {item.name for item in self.waiting.values() if item.needs & skipped}


def _run_step(step: PlannedStep, context: Context, services: _Services) -> _Ended:
    """Drive one step to its end, as often as its retry policies say."""
    began, retried = time.monotonic(), Counter[retries.RetryPolicy]()
    state = StepState(
        name=step.name,
        type=step.type,
        status="Starting",
        start_time=_now(),
        display_name=step.display_name,
    )
    services.observe(state)
    progress = _Progress(state, services.observe)
    while True:
        end = _try(step, context, services, progress)
        policy = retries.chosen(step.retry_policies, end.fault)
        if policy is None:
            break
        seconds = policy.wait_seconds(retried[policy], time.monotonic() - began)
        if seconds is None:
            break
        if services.halt.wait(seconds):
            end = _End("Stopped", f"stopped before it was tried again: {end.reason}")
            break
        retried[policy] += 1
        progress.move(status="Starting", attempt=progress.state.attempt + 1)
    progress.move(status=end.status, end_time=_now(), failure_reason=_short(end.reason))
    return _Ended(state=progress.state, answer=end.answer)


def _try(step: PlannedStep, context: Context, services: _Services, progress: "_Progress") -> "_End":
    """One try of a step; what AWS or the definition refuses is its failure."""
    # Only loaded when something runs: the caller's clients are botocore's.
    from botocore.exceptions import BotoCoreError, ClientError

    drive = _DRIVERS.get(step.type, _run_job)
    try:
        return drive(step, context, services, progress)
    except (GrammarError, BotoCoreError, ClientError) as error:
        return _End("Failed", str(error))


class _Progress:
    """The current state of one step; every move is observed."""

    def __init__(self, state: StepState, observe: Callable[[StepState], None]) -> None:
        self.state = state
        self._observe = observe

    def move(self, **changes: Any) -> None:
        """Change the state and tell the observer."""
        self.state = replace(self.state, **changes)
        self._observe(self.state)


class _End(NamedTuple):
    """How one try of a step ended."""

    status: str
    reason: str = ""
    answer: Mapping[str, Any] = MappingProxyType({})
    fault: str = ""
    """The exception that it is to retry policies. Default: none, trying again is no use."""


def _decide(step: PlannedStep, context: Context, _: _Services, progress: _Progress) -> _End:
    progress.move(status="Executing")
    outcome = str(conditions.hold(resolve(step.arguments["Conditions"], context)))
    progress.state = replace(progress.state, metadata={"Condition": {"Outcome": outcome}})
    return _End("Succeeded", answer={"Outcome": outcome})


def _fail(step: PlannedStep, context: Context, _: _Services, progress: _Progress) -> _End:
    message = _short(text_of(resolve(step.arguments["ErrorMessage"], context)))
    progress.move(status="Executing", metadata={"Fail": {"ErrorMessage": message}})
    return _End("Failed", message)


def _run_job(step: PlannedStep, context: Context, services: _Services, progress: _Progress) -> _End:
    from botocore.exceptions import BotoCoreError, ClientError

    runner = RUNNERS[step.type]
    name = job_name(
        context.execution.execution_id, step.name, progress.state.attempt, runner.name_length
    )
    request = resolve(step.arguments, replace(context, job_name=name))
    for key, default in runner.defaults.items():
        if request.get(key) == default:
            del request[key]
    if runner.name_field:
        request[runner.name_field] = name
    try:
        created = getattr(services.sagemaker, runner.create)(**request)
    except (BotoCoreError, ClientError) as error:
        return _End("Failed", str(error), fault=retries.of_error(error))
    arn = created[runner.arn_field]
    progress.move(status="Executing", metadata={runner.metadata_key: {"Arn": arn}})
    identity = {runner.name_field or runner.describe_field: name if runner.name_field else arn}
    return _wait_for_end(runner, identity, services)


def _wait_for_end(runner: Runner, identity: dict[str, str], services: _Services) -> _End:
    seconds, stop_sent = FIRST_POLL_SECONDS, False
    while True:
        answer = getattr(services.sagemaker, runner.describe)(**identity)
        status = answer[runner.status_field] if runner.status_field else "Completed"
        if status in runner.ends:
            ended = runner.ends[status]
            if ended == "Succeeded":
                return _End(ended, answer={**answer, **runner.more(services.sagemaker, answer)})
            reason = str(answer.get(runner.failure_field) or f"{runner.describe} says {status}")
            fault = retries.of_reason(reason) if ended == "Failed" else ""
            return _End(ended, reason, answer, fault)
        if services.halt.is_set() and runner.stop and not stop_sent:
            getattr(services.sagemaker, runner.stop)(**identity)
            stop_sent, seconds = True, FIRST_POLL_SECONDS
        elif stop_sent or not runner.stop:
            time.sleep(seconds)
        else:
            services.halt.wait(seconds)
        seconds = min(LAST_POLL_SECONDS, seconds * _POLL_GROWTH)


_DRIVERS: Mapping[str, Callable[[PlannedStep, Context, _Services, _Progress], _End]] = {
    "Condition": _decide,
    "Fail": _fail,
}


def job_name(execution_id: str, step: str, attempt: int = 1, length: int = _JOB_NAME_LENGTH) -> str:
    """Name of a step's job: readable, unique in the account, as short as AWS wants it."""
    again = f"/{attempt}" if attempt > 1 else ""
    digest = hashlib.sha256(f"{execution_id}/{step}{again}".encode()).hexdigest()[:_HASH_LENGTH]
    whose = "pipelines-" if length == _JOB_NAME_LENGTH else ""
    plain = re.sub(r"[^A-Za-z0-9-]", "-", f"{whose}{execution_id}-{step}")
    return f"{plain[: length - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def _read_json(s3: Any, uri: str) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        return json.loads(body)
    except ValueError as error:
        raise GrammarError(f"{uri} is not JSON: {error}") from error


def _short(reason: str) -> str:
    return reason if len(reason) <= _REASON_LENGTH else f"{reason[: _REASON_LENGTH - 3]}..."


def _now() -> datetime:
    return datetime.now(UTC)
