"""How one try of a step is driven to its end: a job is watched, a condition decided."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from pipelines.executor import conditions, retries
from pipelines.executor.grammar import Context, text_of
from pipelines.executor.model import Callback, Execution, Result, StepState
from pipelines.executor.planned import PlannedStep
from pipelines.executor.runners import RUNNERS, Runner

FIRST_POLL_SECONDS = 0.02
LAST_POLL_SECONDS = 0.5
_POLL_GROWTH = 1.25
JOB_NAME_LENGTH = 63
_HASH_LENGTH = 10
_NO_HOLDER = "Model Package Group does not exist"
"""What SageMaker says of a package whose group is not there."""
FAIL_MESSAGE_LENGTH = 3072
"""Of a Fail step's ErrorMessage (API reference, FailStepMetadata)."""
_INVOKED = frozenset(
    "".join(word.capitalize() for word in name.split("_"))
    for runner in RUNNERS.values()
    for name in (runner.create, runner.update, runner.create_holder)
)
"""Operations of SageMaker that make what a step is."""
STEP_REASON_LENGTH, EXECUTION_REASON_LENGTH = 1024, 1300
"""Of a FailureReason (API reference, PipelineExecutionStep and DescribePipelineExecution)."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a worker thread needs beside its step."""

    client: Callable[[str], Any]
    """Service -> a client that acts as the execution does."""
    observe: Callable[[StepState], None]
    halt: threading.Event
    """Set when running jobs are to be stopped."""
    past: Callable[[str], Sequence[Result]]
    """Name of a step -> the results of its earlier runs."""
    expect: Callable[[Callback], None]
    """Hears of each callback before its token is sent."""
    kept: Mapping[str, Result]
    """Step -> the result that it has before anything runs, if it does."""
    run_step: "Callable[[PlannedStep, Context, Services], Ended]"
    """Drives a step to its end, with its tries and the cache."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One try of a step, every variable replaced."""

    step: PlannedStep
    context: Context
    arguments: Mapping[str, Any]
    own: Mapping[str, Any]
    """Members that its type has beside Arguments."""


class End(NamedTuple):
    """How one try of a step ended."""

    status: str
    reason: str = ""
    answer: Mapping[str, Any] = MappingProxyType({})
    fault: str = ""
    """The exception that it is to retry policies. Default: none, trying again is no use."""


class Ended(NamedTuple):
    """How a step ended after its tries, and what later steps can refer to."""

    state: StepState
    answer: Mapping[str, Any]


class Progress:
    """The current state of one step; every move is observed."""

    def __init__(self, state: StepState, observe: Callable[[StepState], None]) -> None:
        self.state = state
        self._observe = observe

    def move(self, **changes: Any) -> None:
        """Change the state and tell the observer."""
        self.state = replace(self.state, **changes)
        self._observe(self.state)


def decide(call: Call, _: Services, progress: Progress) -> End:
    """Whether the conditions of a Condition step hold."""
    progress.move(status="Executing")
    outcome = str(conditions.hold(call.arguments["Conditions"]))
    progress.state = replace(progress.state, metadata={"Condition": {"Outcome": outcome}})
    return End("Succeeded", answer={"Outcome": outcome})


def fail(call: Call, _: Services, progress: Progress) -> End:
    """End as a Fail step does, with its message."""
    message = short(text_of(call.arguments["ErrorMessage"]), FAIL_MESSAGE_LENGTH)
    progress.move(status="Executing", metadata={"Fail": {"ErrorMessage": message}})
    return End("Failed", message)


def run_job(call: Call, services: Services, progress: Progress) -> End:
    """Create what the step asks SageMaker's API for, and watch it to its end."""
    runner, sagemaker = RUNNERS[call.step.type], services.client("sagemaker")
    request = {
        key: value
        for key, value in call.arguments.items()
        if key not in runner.defaults or value != runner.defaults[key]
    }
    if runner.name_field and not (runner.keeps_name and runner.name_field in request):
        request[runner.name_field] = call.context.job_name
    arn = _make(runner, sagemaker, tagged(call, request))[runner.arn_field]
    progress.move(status="Executing", metadata={runner.metadata_key: {"Arn": arn}})
    key = runner.name_field or runner.describe_field
    identity = {key: request.get(key, arn)}
    end = wait_for_end(runner, sagemaker, identity, services.halt)
    wanted = request.get(runner.served)
    if end.status == "Succeeded" and runner.served and end.answer[runner.served] != wanted:
        reason = end.answer.get(runner.failure_field) or "the update was rolled back"
        return End("Failed", f"{wanted} is not served: {reason}", end.answer)
    return end


def tagged(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """A request that makes something, with the tags of the pipeline where the step has no other."""
    tags = call.context.execution.tags
    if not tags or not RUNNERS[call.step.type].takes_tags:
        return dict(request)
    own = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or ()}
    listed = [{"Key": key, "Value": value} for key, value in {**tags, **own}.items()]
    return {**request, "Tags": listed}


def _make(runner: Runner, sagemaker: Any, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Create the resource, or update the one that has its name."""
    from botocore.exceptions import ClientError

    if runner.update:
        try:
            getattr(sagemaker, runner.describe)(**{runner.name_field: request[runner.name_field]})
        except ClientError:  # SageMaker has no NotFound: what is wrong else, the creation says
            pass
        else:
            kept = {key: request[key] for key in runner.update_members if key in request}
            answer: Mapping[str, Any] = getattr(sagemaker, runner.update)(**kept)
            return answer
    try:
        created: Mapping[str, Any] = getattr(sagemaker, runner.create)(**request)
    except ClientError as error:
        if runner.holder not in request or _NO_HOLDER not in str(error):
            raise
        holder = {runner.holder: request[runner.holder]}
        getattr(sagemaker, runner.create_holder)(**holder)
        created = getattr(sagemaker, runner.create)(**request)
    return created


def wait_for_end(
    runner: Runner, sagemaker: Any, identity: dict[str, str], halt: threading.Event
) -> End:
    """Ask until the status is final; stop what can be stopped when everything is to stop.

    Where asking fails, so does the step: the job may run, and another try would be a second one.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _watch(runner, sagemaker, identity, halt)
    except (BotoCoreError, ClientError) as error:
        return End("Failed", str(error))


def _watch(runner: Runner, sagemaker: Any, identity: dict[str, str], halt: threading.Event) -> End:
    seconds, stop_sent = FIRST_POLL_SECONDS, False
    while True:
        answer = getattr(sagemaker, runner.describe)(**identity)
        status = answer[runner.status_field] if runner.status_field else "Completed"
        if status in runner.ends:
            return _ended(runner, sagemaker, status, answer)
        if halt.is_set() and runner.stop and not stop_sent:
            getattr(sagemaker, runner.stop)(**identity)
            stop_sent, seconds = True, FIRST_POLL_SECONDS
        elif stop_sent or not runner.stop:
            time.sleep(seconds)
        else:
            halt.wait(seconds)
        seconds = min(LAST_POLL_SECONDS, seconds * _POLL_GROWTH)


def _ended(runner: Runner, sagemaker: Any, status: str, answer: Mapping[str, Any]) -> End:
    ended = runner.ends[status]
    if ended == "Succeeded":
        return End(ended, answer={**answer, **runner.more(sagemaker, answer)})
    reason = str(answer.get(runner.failure_field) or f"{runner.describe} says {status}")
    if ended == "Stopped":
        return End(ended, reason, answer)
    fault = retries.of_reason(reason)
    is_told = fault or reason.startswith(CLIENT_ERROR)
    return End(ended, reason if is_told else f"{CLIENT_ERROR} {reason}", answer, fault)


CLIENT_ERROR = "ClientError:"
"""How the reason of a step begins whose job failed for what it was given to do."""


def refused(error: Exception) -> str:
    """Why a step failed whose request was not taken, as the step says it."""
    from botocore.exceptions import ClientError

    operation = getattr(error, "operation_name", "")
    if not isinstance(error, ClientError) or operation not in _INVOKED:
        return str(error)
    told = error.response["Error"].get("Message", "")
    return f"{CLIENT_ERROR} Failed to invoke sagemaker:{operation}. Error Details: {told}"


def job_name(
    execution: Execution,
    step: str,
    attempt: int = 1,
    prefix: str = "",
    length: int = JOB_NAME_LENGTH,
) -> str:
    """Name of a step's job: readable, unique in the account, as short as AWS wants it.

    A definition that names its jobs gives only the beginning (PipelineDefinitionConfig of the SDK,
    use_custom_job_prefix).
    """
    identity = execution.execution_id
    again = f"/{execution.retried}/{attempt}" if execution.retried or attempt > 1 else ""
    digest = hashlib.sha256(f"{identity}/{step}{again}".encode()).hexdigest()[:_HASH_LENGTH]
    begin = prefix or ("pipelines" if length == JOB_NAME_LENGTH else "")
    plain = re.sub(r"[^A-Za-z0-9-]", "-", f"{begin}-{identity}-{step}".lstrip("-"))
    return f"{plain[: length - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def short(reason: str, most: int = STEP_REASON_LENGTH) -> str:
    """A reason within what an answer has room for."""
    return reason if len(reason) <= most else f"{reason[: most - 3]}..."
