"""Asynchronous invocations: the queue that Lambda has in front of a function, and where it leads.

Whatever invokes a function without waiting for it (Invoke with `Event`, rules, topics, buckets, log
groups) comes here. Source: Lambda developer guide, "Invoking a function asynchronously", "Error
handling for asynchronous invocation" and "Capturing records of asynchronous invocations". What
waits in the queue ends with the cloud; on AWS it would be tried again.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.lambda_functions import Answer, Call

RETRIES = 2
"""Lambda calls a function at most twice more for an event that it failed on."""

PAUSES = (1.0, 2.0)
"""Seconds before each further try; Lambda waits as many minutes."""

OLDEST_SECONDS = 21_600
ERROR_LETTERS = 1024
"""Of the error's message, as the attribute of a dead letter."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What waits in the queue."""

    function: Any
    """The version of moto's function that runs."""

    content: Any
    qualifier: str = ""
    """Version or alias that was asked for. Default: none was."""

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it ended."""

    condition: str
    tries: int
    answer: Answer | None = None
    """Of the last try. Default: there was none."""

    @property
    def succeeded(self) -> bool:
        return self.condition == "Success"


Enqueue = Callable[[Event], None]


def enqueue(emulator: Emulator, event: Event) -> None:
    """Take an event and answer at once; a thread sees to it."""
    emulator.background(lambda: _handle(emulator, event), broken=lambda _: None, waits=True)


def config_of(function: Any, qualifier: str) -> Mapping[str, Any]:
    """How a version or alias is invoked asynchronously; each has a configuration of its own."""
    mark = f":{qualifier or '$LATEST'}"
    found = [one.config for one in function.event_invoke_config if one.arn.endswith(mark)]
    return found[-1] if found else {}


def _handle(emulator: Emulator, event: Event) -> None:
    config = config_of(_latest(emulator, event.function), event.qualifier)
    outcome = _tried(emulator, event, config)
    word = "OnSuccess" if outcome.succeeded else "OnFailure"
    where = (config.get("DestinationConfig") or {}).get(word) or {}
    if arn := str(where.get("Destination") or ""):
        record = _record(event, outcome)
        _as_role(
            emulator,
            event,
            "DestinationDeliveryFailures",
            lambda acting: _deliver(acting, arn, record, event),
        )
    letters = getattr(event.function, "dead_letter_config", None) or {}
    if not outcome.succeeded and (arn := str(letters.get("TargetArn") or "")):
        _as_role(
            emulator, event, "DeadLetterErrors", lambda acting: _bury(acting, arn, event, outcome)
        )


def _latest(emulator: Emulator, function: Any) -> Any:
    """The function that its configurations and its concurrency are kept with."""
    from moto.awslambda.exceptions import UnknownFunctionException

    try:
        return moto_backend("lambda", emulator).get_function(function.function_name)
    except UnknownFunctionException:  # deleted meanwhile
        return function


def _tried(emulator: Emulator, event: Event, config: Mapping[str, Any]) -> Outcome:
    """The function called until it does not fail, or as often as it may be."""
    begun, answer = time.monotonic(), None
    tries = 1 + int(config.get("MaximumRetryAttempts", RETRIES))
    oldest = int(config.get("MaximumEventAgeInSeconds", OLDEST_SECONDS))
    for tried in range(tries):
        if str(_latest(emulator, event.function).reserved_concurrency) == "0":
            return Outcome(condition="ZeroReservedConcurrency", tries=tried, answer=answer)
        if tried:
            time.sleep(PAUSES[min(tried, len(PAUSES)) - 1])
        if time.monotonic() - begun > oldest:
            return Outcome(condition="EventAgeExceeded", tries=tried, answer=answer)
        call = Call(event=event.content, request_id=event.request_id, qualifier=event.qualifier)
        answer = event.function._invoke_lambda(call)
        if not answer.failed:
            return Outcome(condition="Success", tries=tried + 1, answer=answer)
        log.warning("%s failed: %s", event.function.function_name, answer.payload[:500])
    return Outcome(condition="RetriesExhausted", tries=tries, answer=answer)


def _record(event: Event, outcome: Outcome) -> dict[str, Any]:
    """What a destination is told."""
    function, answer = event.function, outcome.answer
    plain = ":".join(str(function.function_arn).split(":")[:7])
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": _now(),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{plain}:{event.qualifier or '$LATEST'}",
            "condition": outcome.condition,
            "approximateInvokeCount": outcome.tries,
        },
        "requestPayload": event.content,
    }
    if answer is None:
        return record
    context = {"statusCode": 200, "executedVersion": str(function.version)}
    failed = {} if outcome.succeeded else {"functionError": "Unhandled"}
    return {
        **record,
        "responseContext": {**context, **failed},
        "responsePayload": _parsed(answer.payload),
    }


def _as_role(
    emulator: Emulator, event: Event, metric: str, deliver: Callable[[Acting], None]
) -> None:
    """Deliver as the function's role; what is not delivered is a metric, as on AWS."""
    function = event.function
    try:
        deliver(emulator.act(function.role, service="lambda", session_name=function.function_name))
    except (CannotAct, ClientError, BotoCoreError, NotImplementedError) as error:
        log.warning("%s: %s: %s", function.function_name, metric, error)
        named = [{"Name": "FunctionName", "Value": function.function_name}]
        datum = {"MetricName": metric, "Value": 1, "Unit": "Count", "Dimensions": named}
        moto_backend("cloudwatch", emulator).put_metric_data("AWS/Lambda", [datum])


def _deliver(acting: Acting, arn: str, record: Mapping[str, Any], event: Event) -> None:
    """Tell a queue, topic, function, bus or bucket; a bucket is for failures alone."""
    text, service = json.dumps(record), arn.split(":")[2]
    succeeded = record["requestContext"]["condition"] == "Success"
    if service == "sqs":
        _queue(acting, arn, text, {})
    elif service == "sns":
        acting.client("sns").publish(TopicArn=arn, Message=text)
    elif service == "lambda":
        acting.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text)
    elif service == "events":
        word = "Success" if succeeded else "Failure"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {word}",
            "Resources": [arn, record["requestContext"]["functionArn"]],
            "Detail": text,
            "EventBusName": arn,
        }
        acting.client("events").put_events(Entries=[entry])
    elif service == "s3" and not succeeded:
        at, bucket = datetime.now(UTC), arn.split(":::")[1].partition("/")[0]
        key = f"aws/lambda/async/{event.function.function_name}/{at:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}"
        acting.client("s3").put_object(Bucket=bucket, Key=f"{key}-{uuid.uuid4()}", Body=text)
    else:
        raise NotImplementedError(f"{arn} is no destination here")


def _bury(acting: Acting, arn: str, event: Event, outcome: Outcome) -> None:
    """The event itself to a queue or topic, with what went wrong as attributes."""
    told = _parsed(outcome.answer.payload) if outcome.answer else None
    why = str(told.get("errorMessage") or "") if isinstance(told, Mapping) else outcome.condition
    values = {
        "RequestID": ("String", event.request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", why[:ERROR_LETTERS] or outcome.condition),
    }
    attributes = {
        name: {"DataType": kind, "StringValue": value} for name, (kind, value) in values.items()
    }
    text = json.dumps(event.content)
    if arn.split(":")[2] == "sqs":
        _queue(acting, arn, text, attributes)
    else:
        topics = acting.client("sns")
        topics.publish(TopicArn=arn, Message=text, MessageAttributes=attributes)


def _queue(acting: Acting, arn: str, text: str, attributes: Mapping[str, Any]) -> None:
    sqs, (account, name) = acting.client("sqs"), arn.split(":")[4:6]
    url = f"{sqs.meta.endpoint_url}/{account}/{name}"
    sqs.send_message(QueueUrl=url, MessageBody=text, MessageAttributes=attributes)


def _parsed(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:  # what the program wrote itself
        return payload


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
