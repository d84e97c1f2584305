"""Retry policies: which faults of the service are worth another try, how often and how soon.

As SageMaker Pipelines has them ("Retry Policy for Pipeline Steps"). A program that fails is no
fault of the service: its step fails at once, whatever the policies say. Faults and throttling of
the services that a step calls are tried again in any step; a policy only changes how.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

SERVICE_FAULT, THROTTLING = "Step.SERVICE_FAULT", "Step.THROTTLING"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
REASONS = {
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "ResourceLimitExceeded": RESOURCE_LIMIT,
}
"""How the FailureReason of a job begins -> the exception that it is to a policy."""

CODES = {
    "RequestLimitExceeded": THROTTLING,
    "ResourceLimitExceeded": RESOURCE_LIMIT,
    "Throttling": THROTTLING,
    "ThrottlingException": THROTTLING,
    "TooManyRequestsException": THROTTLING,
}
"""Error code of an answer -> the exception that it is to a policy."""

ATTEMPTS = 5
"""Retries of a policy that says neither MaxAttempts nor ExpireAfterMin."""

LONGEST_SECONDS = 14_400.0 * 60
"""The longest wait: no policy lives longer."""

INTERNAL_ERROR = REASONS["InternalServerError"]
RETRYING_THEMSELVES = ("AutoML", "Tuning")
"""Step types whose service retries its jobs' internal errors: no policy does it once more."""

TRANSIENT = (500, 502, 503, 504)
"""HTTP statuses of faults that may be gone the next time; 501 says that they will not."""

STEP_TYPES = frozenset(
    {"AutoML", "EMRServerless", "EndpointConfig", "Model", "Processing", "RegisterModel",
     "Training", "Transform", "Tuning"}
)  # fmt: skip
"""Types whose steps may have policies ("Retry Policy for Pipeline Steps"; EMRServerlessStep and
EndpointConfigStep of the SDK, sagemaker.mlops.workflow 1.27)."""

EXCEPTIONS = frozenset({SERVICE_FAULT, *CODES.values(), *REASONS.values()})


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """One entry of a step's RetryPolicies."""

    exceptions: frozenset[str]
    interval_seconds: int = 1
    """Before the first retry. Default: 1."""
    backoff_rate: float = 2.0
    """What each interval is multiplied by for the next. Default: it doubles."""
    max_attempts: int | None = None
    """Retries, the first try not counted. Default: 5, or no limit where the policy expires."""
    expire_after_minutes: int | None = None
    """Since the step began, after which nothing is retried. Default: only the count ends it."""

    def wait_seconds(self, retried: int, elapsed_seconds: float) -> float | None:
        """How long to wait for the next try after so many retries; None: there is none."""
        expires, most = self.expire_after_minutes, self.max_attempts
        if expires is not None and elapsed_seconds >= expires * 60:
            return None
        if retried >= (most if most is not None else math.inf if expires is not None else ATTEMPTS):
            return None
        try:
            return min(float(self.interval_seconds * self.backoff_rate**retried), LONGEST_SECONDS)
        except OverflowError:
            return LONGEST_SECONDS


ALWAYS = RetryPolicy(exceptions=frozenset({SERVICE_FAULT, THROTTLING}))
"""What SageMaker does about a fault of a service that it calls, in every step."""

_MEMBERS: Mapping[str, tuple[str, float, float]] = {
    "IntervalSeconds": ("interval_seconds", 0, 43_200),
    "BackoffRate": ("backoff_rate", 0, float("inf")),
    "MaxAttempts": ("max_attempts", 0, 20),
    "ExpireAfterMin": ("expire_after_minutes", 0, 14_400),
}
"""Member -> field, least and most ("Retry Policy for Pipeline Steps", JSON schema)."""


def read(step: Mapping[str, Any]) -> tuple[RetryPolicy, ...]:
    """The policies of a step that has no problems."""
    return tuple(
        RetryPolicy(
            exceptions=frozenset(entry["ExceptionType"]),
            **{field: entry[key] for key, (field, *_) in _MEMBERS.items() if key in entry},
        )
        for entry in step.get("RetryPolicies") or ()
    )


def problems(step: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the policies of a step."""
    stated = step.get("RetryPolicies", ())
    if not isinstance(stated, list | tuple):
        yield f"{where}.RetryPolicies must be a list, got {shown(stated)}"
        return
    for index, entry in enumerate(stated):
        here = f"{where}.RetryPolicies[{index}]"
        if isinstance(entry, Mapping):
            yield from _entry_problems(entry, here)
        else:
            yield f"{here} must be an object, got {shown(entry)}"


def _entry_problems(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    kinds = entry.get("ExceptionType")
    texts = kinds if isinstance(kinds, list | tuple) else ()
    if not texts or not all(isinstance(kind, str) and kind in EXCEPTIONS for kind in texts):
        known = ", ".join(sorted(EXCEPTIONS))
        yield f"{where}.ExceptionType must be a list of {known}, got {shown(kinds)}"
    for key in sorted(str(key) for key in entry.keys() - _MEMBERS.keys() - {"ExceptionType"}):
        yield f"{where}.{key} is not a member of a retry policy"
    if "MaxAttempts" in entry and "ExpireAfterMin" in entry:
        yield f"{where} must have one of MaxAttempts, ExpireAfterMin, got both"
    for key, (_, least, most) in _MEMBERS.items():
        value = entry.get(key, least)
        kinds = (int, float) if key == "BackoffRate" else (int,)
        if type(value) not in kinds or not least <= value <= most:
            yield f"{where}.{key} must be a number from {least} to {most}, got {shown(value)}"


def of_reason(reason: str) -> str:
    """The exception that a job's FailureReason is; empty for what the job itself did wrong."""
    return next((kind for start, kind in REASONS.items() if reason.startswith(start)), "")


def of_error(error: Exception) -> str:
    """The exception that an unsuccessful call is; empty for one that was refused for good."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if not isinstance(error, ClientError):
        return SERVICE_FAULT if isinstance(error, ConnectionError | HTTPClientError) else ""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    fault = SERVICE_FAULT if status in TRANSIENT else ""
    return CODES.get(error.response["Error"]["Code"], fault)


def not_tried_again(exception: str, execution_arn: str, step: str) -> str:
    """What a step adds to its reason where a policy could have tried it again and it has none."""
    if not exception.startswith("SageMaker."):
        return ""
    kind = exception.replace(".", "_").upper()
    return (
        f"\nRetry not appropriate on execution of step with PipelineExecutionArn {execution_arn} "
        f"and StepId {step}. No retry policy configured for the exception type {kind}."
    )


def chosen(policies: Sequence[RetryPolicy], exception: str, step_type: str) -> RetryPolicy | None:
    """The first policy of a step that is about an exception; the service's own comes last."""
    if exception == INTERNAL_ERROR and step_type in RETRYING_THEMSELVES:
        return None
    return next((policy for policy in (*policies, ALWAYS) if exception in policy.exceptions), None)
