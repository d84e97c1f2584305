"""Queues, topics and rules: attributes, messages, patterns and schedules that AWS does not take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.aws.protocols import model_of
from stacks.local.aws.refusals.account import Account, backend
from stacks.local.aws.refusals.refusal import Refusal, Request
from stacks.local.aws.refusals.values import no_schedule

BOUNDS = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1_024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
"""Attribute of a queue that is a number -> the least and the most (Amazon SQS API,
SetQueueAttributes)."""

FLAGS = ("ContentBasedDeduplication", "FifoQueue", "SqsManagedSseEnabled")

SUBJECT_LETTERS = 100
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
CODE = re.compile(r"<code>(\w+)</code>")

MATCHES = frozenset({
    "anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix",
    "wildcard",
})  # fmt: skip
"""Operators of event patterns (EventBridge user guide, comparison operators)."""

ONE_OF_MANY = re.compile(r"rate\(1 \w+s\)|rate\((?!1 )\d+ \w+[^s]\)")
"""A rate whose unit does not agree with its number (EventBridge user guide, rate expressions)."""


def _attributes(request: Request) -> Mapping[str, Any]:
    found: Mapping[str, Any] = request.get("Attributes") or {}
    return found


def _unknown_attribute(request: Request, account: Account) -> Mapping[str, str] | None:
    known = model_of("sqs").shape_for("QueueAttributeName").enum
    strange = sorted(name for name in _attributes(request) if name not in known)
    return {"name": strange[0]} if strange else None


def _wrong_attribute(request: Request, account: Account) -> Mapping[str, str] | None:
    for name, value in _attributes(request).items():
        text = str(value)
        least, most = BOUNDS.get(name, (0, 0))
        is_number = name in BOUNDS and not (text.isdecimal() and least <= int(text) <= most)
        if is_number or (name in FLAGS and text.lower() not in ("true", "false")):
            return {"name": name}
    return None


def _no_body(request: Request, account: Account) -> Mapping[str, str] | None:
    return {} if request.get("MessageBody") == "" else None


def _no_message(request: Request, account: Account) -> Mapping[str, str] | None:
    return {} if request.get("Message") == "" else None


def _odd_subject(request: Request, account: Account) -> Mapping[str, str] | None:
    subject = request.get("Subject")
    if subject is None:
        return None
    return {} if len(subject) > SUBJECT_LETTERS or CONTROL.search(subject) else None


def _other_topic_attribute(request: Request, account: Account) -> Mapping[str, str] | None:
    """moto has no list of them; botocore's documentation of the member names each."""
    told = model_of("sns").operation_model("SetTopicAttributes").input_shape
    known = CODE.findall(told.members["AttributeName"].documentation)
    return None if request.get("AttributeName") in known else {}


def _other_match(request: Request, account: Account) -> Mapping[str, str] | None:
    try:
        pattern = json.loads(request.get("EventPattern") or "{}")
    except ValueError:
        return None  # moto says so
    strange = sorted(name for name in _operators(pattern) if name not in MATCHES)
    return {"name": strange[0]} if strange else None


def _operators(pattern: Any) -> Iterator[str]:
    """Names of what stands as an object in a list of values."""
    if not isinstance(pattern, Mapping):
        return
    for name, value in pattern.items():
        if name == "$or" and isinstance(value, list):
            for one in value:
                yield from _operators(one)
        elif isinstance(value, list):
            yield from (key for one in value if isinstance(one, Mapping) for key in one)
        else:
            yield from _operators(value)


def _no_rate(request: Request, account: Account) -> Mapping[str, str] | None:
    if ONE_OF_MANY.fullmatch(str(request.get("ScheduleExpression") or "")):
        return {}
    return no_schedule("ScheduleExpression", "")(request, account)


def _no_window(request: Request, account: Account) -> Mapping[str, str] | None:
    window = request.get("FlexibleTimeWindow") or {}
    says = "MaximumWindowInMinutes" in window
    return {} if (window.get("Mode") == "FLEXIBLE") != says else None


def _no_group(request: Request, account: Account) -> Mapping[str, str] | None:
    name = str(request.get("GroupName") or "default")
    return None if name in backend("scheduler", account.region).schedule_groups else {"name": name}


QUEUES = "Amazon SQS API, CreateQueue and SetQueueAttributes"
TOPICS = "Amazon SNS API, Publish and SetTopicAttributes"
SCHEDULES = "EventBridge Scheduler API, CreateSchedule"

MESSAGES = (
    Refusal(
        service="sqs",
        operations=("CreateQueue", "SetQueueAttributes"),
        condition=_unknown_attribute,
        code="InvalidAttributeName",
        text="Unknown Attribute {name}.",
        source=QUEUES,
    ),
    Refusal(
        service="sqs",
        operations=("CreateQueue", "SetQueueAttributes"),
        condition=_wrong_attribute,
        code="InvalidAttributeValue",
        text="Invalid value for the parameter {name}.",
        source=QUEUES,
    ),
    Refusal(
        service="sqs",
        operations=("SendMessage",),
        condition=_no_body,
        code="MissingParameter",
        text="The request must contain the parameter MessageBody.",
        source="Amazon SQS API, SendMessage: the least is one character",
    ),
    Refusal(
        service="sns",
        operations=("Publish",),
        condition=_no_message,
        code="InvalidParameter",
        text="Invalid parameter: Empty message",
        source=TOPICS,
    ),
    Refusal(
        service="sns",
        operations=("Publish",),
        condition=_odd_subject,
        code="InvalidParameter",
        text="Invalid parameter: Subject",
        source="Amazon SNS API, Publish: no line breaks or control characters, at most 100 letters",
    ),
    Refusal(
        service="sns",
        operations=("SetTopicAttributes",),
        condition=_other_topic_attribute,
        code="InvalidParameter",
        text="Invalid parameter: AttributeName",
        source=TOPICS,
    ),
    Refusal(
        service="events",
        operations=("PutRule", "TestEventPattern", "CreateArchive"),
        condition=_other_match,
        code="InvalidEventPatternException",
        text="Event pattern is not valid. Reason: Unrecognized match type {name}",
        source="aws/event-ruler, the library that EventBridge compiles patterns with",
    ),
    Refusal(
        service="events",
        operations=("PutRule",),
        condition=_no_rate,
        code="ValidationException",
        text="Parameter ScheduleExpression is not valid.",
        source="EventBridge user guide, cron and rate expressions",
    ),
    Refusal(
        service="scheduler",
        operations=("CreateSchedule", "UpdateSchedule"),
        condition=_no_window,
        code="ValidationException",
        text=(
            "MaximumWindowInMinutes must be provided when FlexibleTimeWindow mode is FLEXIBLE, and "
            "only then."
        ),
        source=f"{SCHEDULES}, FlexibleTimeWindow; the text is ours",
    ),
    Refusal(
        service="scheduler",
        operations=("CreateSchedule", "UpdateSchedule"),
        condition=_no_group,
        code="ResourceNotFoundException",
        text="Schedule group {name} does not exist.",
        source=SCHEDULES,
    ),
)
"""What moto takes and AWS does not."""
