"""Retry policies in the executor: which faults are tried again, how often and after what wait."""

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from pipelines.executor.model import StepState
from pipelines.executor.retries import EXCEPTIONS, RetryPolicy, chosen, of_error, of_reason
from pipelines.executor.run import run
from tests.kits.executor import (
    FakeS3,
    FakeSageMaker,
    Json,
    compare,
    condition,
    definition,
    processing,
)
from tests.pipelines.test_executor import EXECUTION, execute

CAPACITY = "CapacityError: Unable to provision requested ML compute capacity"
INTERNAL = "InternalServerError: We encountered an internal error"
OWN_FAULT = "AlgorithmError: ValueError: no rows, exit code: 1"
BOTH = ["SageMaker.CAPACITY_ERROR", "SageMaker.JOB_INTERNAL_ERROR"]


def policy(*exceptions: str, **members: Any) -> Json:
    return {"ExceptionType": list(exceptions), **members}


@dataclass
class Faulty(FakeSageMaker):
    """The jobs of every step end with these reasons, one after the other, and then complete."""

    reasons: Sequence[str] = ()
    refusals: Sequence[Exception] = ()
    names: list[str] = field(default_factory=list)

    def create_processing_job(self, **request: Any) -> Json:
        self.names.append(request["ProcessingJobName"])
        if len(self.names) <= len(self.refusals):
            raise self.refusals[len(self.names) - 1]
        return super().create_processing_job(**request)

    def describe_processing_job(self, ProcessingJobName: str) -> Json:
        answer = super().describe_processing_job(ProcessingJobName)
        tried = self.names.index(ProcessingJobName)
        if tried < len(self.reasons):
            return answer | {
                "ProcessingJobStatus": "Failed",
                "FailureReason": self.reasons[tried],
            }
        return answer


@dataclass
class Tried:
    status: str
    states: list[StepState]
    waits: list[float]
    jobs: list[str]

    @property
    def last(self) -> StepState:
        return self.states[-1]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the executor, which it does not wait."""
    seen: list[float] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            seen.append(timeout or 0)
            return super().wait(0)

    module = sys.modules[run.__module__]
    impatient = SimpleNamespace(Event=Impatient, Lock=threading.Lock)
    monkeypatch.setattr(module, "threading", impatient)
    return seen


def tried(fake: Faulty, waits: list[float], *policies: Json) -> Tried:
    states: list[StepState] = []
    outcome = run(
        definition(processing("A", RetryPolicies=list(policies))),
        parameters={},
        execution=EXECUTION,
        client={"sagemaker": fake, "s3": FakeS3()}.__getitem__,
        observe=states.append,
        stopping=lambda: False,
    )
    return Tried(outcome.status, states, [w for w in waits if w >= 1], fake.names)


def test_a_fault_of_the_service_is_tried_again_after_longer_and_longer_waits(
    waits: list[float],
) -> None:
    fake = Faulty(reasons=[CAPACITY, INTERNAL, CAPACITY])
    result = tried(fake, waits, policy(*BOTH, IntervalSeconds=10, BackoffRate=3.0, MaxAttempts=4))
    assert (result.status, result.waits) == ("Succeeded", [10, 30, 90])
    assert len(set(result.jobs)) == 4, "every try is a job of its own name"
    assert (result.last.attempt, result.last.status) == (4, "Succeeded")
    assert result.last.metadata["ProcessingJob"]["Arn"].endswith(result.jobs[-1])
    assert [s.attempt for s in result.states if s.status == "Starting"] == [1, 2, 3, 4]


def test_a_step_gives_up_after_its_attempts_with_the_last_reason(waits: list[float]) -> None:
    result = tried(Faulty(reasons=[CAPACITY] * 9), waits, policy(*BOTH, MaxAttempts=2))
    assert (result.status, result.last.attempt, result.waits) == ("Failed", 3, [1, 2])
    assert result.last.failure_reason == CAPACITY


@pytest.mark.parametrize(
    ("reason", "policies"),
    [
        (OWN_FAULT, [policy(*EXCEPTIONS)]),
        (CAPACITY, [policy("SageMaker.JOB_INTERNAL_ERROR")]),
        (CAPACITY, [policy(*BOTH, MaxAttempts=0)]),
        (CAPACITY, [policy(*BOTH, ExpireAfterMin=0)]),
        (CAPACITY, []),
    ],
    ids=["the program's own fault", "another exception", "no attempts", "expired", "no policy"],
)
def test_what_no_policy_is_about_fails_at_once(
    reason: str, policies: list[Json], waits: list[float]
) -> None:
    result = tried(Faulty(reasons=[reason]), waits, *policies)
    assert (result.status, result.last.attempt, result.waits) == ("Failed", 1, [])


def test_each_policy_counts_its_own_retries(waits: list[float]) -> None:
    policies = [
        policy("SageMaker.CAPACITY_ERROR", IntervalSeconds=5, MaxAttempts=1),
        policy("SageMaker.JOB_INTERNAL_ERROR", IntervalSeconds=7, MaxAttempts=1),
    ]
    fake = Faulty(reasons=[CAPACITY, INTERNAL, CAPACITY])
    result = tried(fake, waits, *policies)
    assert (result.status, result.waits) == ("Failed", [5, 7])


def refusal(code: str, status: int = 400) -> ClientError:
    answer: Mapping[str, Any] = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "CreateProcessingJob")


def test_a_refused_call_is_tried_again_where_waiting_helps(waits: list[float]) -> None:
    refusals = [refusal("ResourceLimitExceeded"), refusal("ThrottlingException")]
    policies = [policy("SageMaker.RESOURCE_LIMIT"), policy("Step.THROTTLING", IntervalSeconds=3)]
    result = tried(Faulty(refusals=refusals), waits, *policies)
    assert (result.status, result.last.attempt, result.waits) == ("Succeeded", 3, [1, 3])


@pytest.mark.parametrize(
    ("error", "exception"),
    [
        (refusal("InternalFailure", 500), "Step.SERVICE_FAULT"),
        (refusal("ServiceUnavailable", 503), "Step.SERVICE_FAULT"),
        (EndpointConnectionError(endpoint_url="x"), "Step.SERVICE_FAULT"),
        (refusal("Throttling"), "Step.THROTTLING"),
        (refusal("NotEmulated", 501), ""),
        (refusal("ValidationException"), ""),
        (refusal("AccessDeniedException"), ""),
        (ParamValidationError(report="no RoleArn"), ""),
    ],
)
def test_an_unsuccessful_call_is_told_by_its_answer(error: Exception, exception: str) -> None:
    assert of_error(error) == exception


def test_a_failure_reason_is_told_by_its_beginning() -> None:
    assert of_reason(INTERNAL) == "SageMaker.JOB_INTERNAL_ERROR"
    assert of_reason(f"{OWN_FAULT}\n{INTERNAL}") == ""


def test_a_policy_without_numbers_has_those_of_sagemaker() -> None:
    default = RetryPolicy(exceptions=EXCEPTIONS)
    assert [default.wait_seconds(count, 0) for count in range(6)] == [1, 2, 4, 8, 16, None]


def test_a_policy_that_expires_has_no_count_and_never_waits_for_ever() -> None:
    expiring = RetryPolicy(exceptions=EXCEPTIONS, expire_after_minutes=2)
    assert (expiring.wait_seconds(0, 119), expiring.wait_seconds(0, 120)) == (1, None)
    assert expiring.wait_seconds(6, 119) == 64
    assert expiring.wait_seconds(5_000, 119) == expiring.wait_seconds(40, 0) == 864_000


def test_faults_of_called_services_are_tried_again_without_a_policy(waits: list[float]) -> None:
    refusals = [refusal("ThrottlingException"), refusal("InternalFailure", 500)]
    result = tried(Faulty(refusals=refusals), waits)
    assert (result.status, result.last.attempt, result.waits) == ("Succeeded", 3, [1, 2])
    given_up = tried(Faulty(refusals=refusals * 4), waits)
    assert (given_up.status, given_up.last.attempt) == ("Failed", 6)


@dataclass
class Throttled(FakeS3):
    """S3 that refuses the first reads."""

    refusals: list[Exception] = field(default_factory=list)

    def get_object(self, Bucket: str, Key: str) -> Json:
        if self.refusals:
            raise self.refusals.pop()
        return super().get_object(Bucket, Key)


def test_a_fault_of_what_a_condition_reads_is_tried_again(waits: list[float]) -> None:
    read = {"Std:JsonGet": {"S3Uri": "s3://b/auc.json", "Path": "auc"}}
    s3 = Throttled({"s3://b/auc.json": '{"auc": 1}'}, [refusal("SlowDown", 503)])
    result = execute([condition("If", [compare(read, "Equals", 1)])], s3=s3)
    assert (result.outcome.status, result.state("If").attempt) == ("Succeeded", 2)
    assert [wait for wait in waits if wait >= 1] == [1]


def test_a_job_that_cannot_be_asked_about_is_not_made_a_second_time(waits: list[float]) -> None:
    class Mute(FakeSageMaker):
        def describe_processing_job(self, ProcessingJobName: str) -> Json:
            raise refusal("ThrottlingException")

    fake = Mute()
    result = execute([processing("A")], fake)
    assert (result.outcome.status, fake.created()) == ("Failed", ["A"])


def test_a_policy_overrides_what_the_service_does_by_itself(waits: list[float]) -> None:
    never = policy("Step.THROTTLING", MaxAttempts=0)
    result = tried(Faulty(refusals=[refusal("ThrottlingException")]), waits, never)
    assert (result.status, result.last.attempt, result.waits) == ("Failed", 1, [])


def test_a_tuning_step_leaves_internal_errors_to_its_service() -> None:
    policies = [RetryPolicy(exceptions=EXCEPTIONS)]
    assert chosen(policies, "SageMaker.JOB_INTERNAL_ERROR", "Training") == policies[0]
    assert chosen(policies, "SageMaker.JOB_INTERNAL_ERROR", "Tuning") is None
    assert chosen(policies, "SageMaker.CAPACITY_ERROR", "Tuning") == policies[0]


def test_a_stop_request_ends_the_wait_for_another_try() -> None:
    states: list[StepState] = []
    outcome = run(
        definition(processing("A", RetryPolicies=[policy(*BOTH, IntervalSeconds=3600)])),
        parameters={},
        execution=EXECUTION,
        client={"sagemaker": Faulty(reasons=[CAPACITY])}.__getitem__,
        observe=states.append,
        stopping=lambda: len(states) > 1,
    )
    assert (outcome.status, states[-1].status) == ("Stopped", "Stopped")
    assert CAPACITY in states[-1].failure_reason
