"""Invocations of moto's Lambda functions as its API reference has them (Lambda API, Invoke).

moto waits for a function whatever the type of the invocation, forgets DeadLetterConfig, and knows
one asynchronous configuration for all versions and aliases of a function.
"""

from __future__ import annotations

import base64
import functools
import json
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from inspect import signature
from typing import Any

from stacks.local.aws.lambda_async import Enqueue, Event
from stacks.local.runtime.lambda_functions import Answer, Call

KIND = "X-Amz-Invocation-Type"
ERROR, VERSION = "x-amz-function-error", "X-Amz-Executed-Version"
LOG, REQUEST_ID = "x-amz-log-result", "x-amzn-requestid"
LOG_BYTES = 4096
"""Of the log in an answer: the last four kilobytes."""

EVENT_BYTES = 1_048_576
"""Lambda quotas, invocation payload, asynchronous."""

DEFERRED: ContextVar[str | None] = ContextVar("DEFERRED", default=None)
"""The version or alias that a service invokes which does not wait; None: whoever asks waits."""

NAMED = ("function_name", "function_arn", "fn_arn")
"""How moto's services call the argument that names a function."""

LETTERS = "DeadLetterConfig"
WORDS = {
    (KIND, "invocationType"): ("Event", "RequestResponse", "DryRun"),
    ("X-Amz-Log-Type", "logType"): ("None", "Tail"),
}
"""Header of Invoke and its member -> the words that it may be."""


def install(enqueue: Enqueue) -> None:
    """Let Invoke do and refuse what Lambda does; `enqueue` takes what nobody waits for."""
    from moto.awslambda.models import LambdaBackend, LambdaFunction
    from moto.awslambda.responses import LambdaResponse

    if hasattr(LambdaBackend.invoke, "__wrapped__"):
        return
    _invoke(enqueue)
    _defer(enqueue)
    _dead_letters(LambdaFunction)
    _configurations(LambdaBackend, LambdaResponse)


def qualifier_of(name: str, asked: str | None = None) -> str:
    """Version or alias in a name or ARN of a function, or beside it; empty where there is none."""
    parts = name.split(":")
    rest = parts[parts.index("function") + 2 :] if "function" in parts else parts[1:]
    return rest[0] if rest else asked or ""


def _invoke(enqueue: Enqueue) -> None:
    from moto.awslambda.models import LambdaBackend
    from moto.awslambda.responses import LambdaResponse

    own, answer = LambdaBackend.invoke, LambdaResponse.invoke
    enrich = LambdaResponse._enrich_response

    @functools.wraps(own)
    def refusing(*given: Any, **named: Any) -> Any:
        asked = signature(own).bind(*given, **named).arguments
        told, name = asked["response_headers"], asked["function_name"]
        qualifier = qualifier_of(name, asked["qualifier"])
        function = asked["self"].get_function(name, asked["qualifier"])
        _check_words(asked["headers"])
        kind = asked["headers"].get(KIND)
        event = _parsed(asked["body"])
        if kind == "DryRun":
            return b""
        told[REQUEST_ID] = str(uuid.uuid4())
        if kind == "Event":
            _check_size(asked["body"])
            waiting = Event(
                function=function, content=event, qualifier=qualifier, request_id=told[REQUEST_ID]
            )
            enqueue(waiting)
            return b""
        _check_concurrency(asked["self"].get_function(function.function_name))
        call = Call(event=event, request_id=told[REQUEST_ID], qualifier=qualifier)
        payload = _told(function._invoke_lambda(call), told)
        told[VERSION], told["Content-Length"] = str(function.version), str(len(payload))
        return payload

    @functools.wraps(answer)
    def invoke(response: Any) -> Any:
        """By the version or alias that is asked for, which moto looks for in small letters."""
        if "Qualifier" in response.querystring:
            response.querystring["qualifier"] = response.querystring["Qualifier"]
        return answer(response)

    @functools.wraps(enrich)
    def enriched(headers: Any, body: Any) -> Any:
        """The id of the request is the one in the log."""
        kept = headers.get(REQUEST_ID)
        headers, body = enrich(headers, body)
        return ({**headers, REQUEST_ID: kept} if kept else headers), body

    LambdaBackend.invoke, LambdaResponse.invoke = refusing, invoke
    LambdaResponse._enrich_response = staticmethod(enriched)


def _told(answer: Answer, headers: Any) -> bytes:
    """The payload; what is said beside it goes into the headers."""
    if answer.failed:
        headers[ERROR] = "Unhandled"
    headers[LOG] = base64.b64encode(answer.log.encode()[-LOG_BYTES:]).decode()
    return answer.payload.encode()


def _defer(enqueue: Enqueue) -> None:
    """Topics, buckets and log groups do not wait for the functions that they invoke."""
    from moto.awslambda.models import LambdaBackend, LambdaFunction
    from moto.awslambda.responses import LambdaResponse
    from moto.s3 import notifications

    def invoked(function: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
        event = json.loads(body) if body else {}
        qualifier = DEFERRED.get()
        if qualifier is not None:
            enqueue(Event(function=function, content=event, qualifier=qualifier))
            return b""
        return _told(function._invoke_lambda(Call(event=event)), response_headers)

    def invoke_async(response: Any) -> Any:
        name = response.path.rstrip("/").split("/")[-2]
        kind = {KIND: "Event"}
        backend = response.backend
        backend.invoke(name, None, response.body, kind, {})
        return 202, {"status": 202}, b""

    LambdaFunction.invoke, LambdaResponse.invoke_async = invoked, invoke_async
    for name in ("send_sns_message", "send_log_event"):
        setattr(LambdaBackend, name, _deferring(getattr(LambdaBackend, name)))
    notifications._invoke_awslambda = _deferring(notifications._invoke_awslambda)


def _deferring(act: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(act)
    def acts(*given: Any, **named: Any) -> Any:
        asked = signature(act).bind(*given, **named).arguments
        name = next(str(asked[one]) for one in NAMED if one in asked)
        token = DEFERRED.set(qualifier_of(name, asked.get("qualifier")))
        try:
            return act(*given, **named)
        finally:
            DEFERRED.reset(token)

    return acts


def _dead_letters(of: Any) -> None:
    """Keep where events go that a function fails on, and show it."""
    make, change, shown = of.__init__, of.update_configuration, of.get_configuration

    @functools.wraps(make)
    def made(function: Any, account_id: str, spec: Any, *given: Any, **named: Any) -> None:
        make(function, account_id, spec, *given, **named)
        function.dead_letter_config = spec.get(LETTERS)

    @functools.wraps(change)
    def changed(function: Any, updates: Any) -> Any:
        if LETTERS in updates:
            function.dead_letter_config = updates[LETTERS]
        return change(function, updates)

    @functools.wraps(shown)
    def configuration(function: Any, *given: Any, **named: Any) -> Any:
        letters = getattr(function, "dead_letter_config", None) or {}
        more = {LETTERS: letters} if letters.get("TargetArn") else {}
        return {**shown(function, *given, **named), **more}

    build = of.create_from_cloudformation_json.__func__

    @functools.wraps(build)
    def built(kind: Any, name: str, told: Any, *given: Any, **named: Any) -> Any:
        function = build(kind, name, told, *given, **named)
        function.dead_letter_config = told["Properties"].get(LETTERS)
        return function

    of.__init__, of.update_configuration, of.get_configuration = made, changed, configuration
    of.create_from_cloudformation_json = classmethod(built)


def _configurations(backend: Any, responses: Any) -> None:
    """Asynchronous configurations: one for each version and alias; Put replaces, Update merges."""
    from moto.awslambda.exceptions import UnknownEventConfig
    from moto.awslambda.models import EventInvokeConfig

    def parts(table: Any, name: str) -> tuple[Any, str]:
        function = table.get_function(name)  # refused where it is not there
        plain = ":".join(function.function_arn.split(":")[:7])
        return table.get_function(function.function_name), (
            f"{plain}:{qualifier_of(name) or '$LATEST'}"
        )

    def held(table: Any, name: str) -> Any:
        function, arn = parts(table, name)
        found = [one for one in function.event_invoke_config if one.arn == arn]
        if not found:
            raise UnknownEventConfig(arn)
        return found[-1]

    def put(table: Any, name: str, config: Any) -> Any:
        function, arn = parts(table, name)
        made = EventInvokeConfig(arn, function.last_modified, _only(config))
        kept = [one for one in function.event_invoke_config if one.arn != arn]
        function.event_invoke_config[:] = [*kept, made]
        return made.response()

    def update(table: Any, name: str, config: Any) -> Any:
        return put(table, name, {**held(table, name).config, **_only(config)})

    def delete(table: Any, name: str) -> None:
        gone, (function, _) = held(table, name), parts(table, name)
        function.event_invoke_config.remove(gone)

    def listed(table: Any, name: str) -> Any:
        function, _ = parts(table, name)
        return {"FunctionEventInvokeConfigs": [c.response() for c in function.event_invoke_config]}

    backend.put_function_event_invoke_config = put
    backend.update_function_event_invoke_config = update
    backend.delete_function_event_invoke_config = delete
    backend.list_function_event_invoke_configs = listed
    backend.get_function_event_invoke_config = lambda table, name: held(table, name).response()
    for verb in ("put", "get", "update", "delete"):
        method = f"{verb}_function_event_invoke_config"
        setattr(responses, method, _qualified(getattr(responses, method)))


def _only(config: Any) -> dict[str, Any]:
    return {
        name: config[name]
        for name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
        if config.get(name) is not None
    }


def _qualified(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """moto looks at the name alone, so a qualifier is put behind it."""

    @functools.wraps(act)
    def acts(response: Any) -> Any:
        asked = response.querystring.get("Qualifier")
        if asked:
            head, _, tail = response.path.rpartition("/event-invoke-config")
            response.path = f"{head}:{asked[0]}/event-invoke-config{tail}"
        return act(response)

    return acts


def _parsed(body: Any) -> Any:
    from moto.awslambda.exceptions import LambdaClientError

    if not body:
        return {}
    try:
        return json.loads(body)
    except ValueError as error:
        told = f"Could not parse request body into json: {error}"
        raise LambdaClientError("InvalidRequestContentException", told) from None


def _check_words(headers: Any) -> None:
    from moto.awslambda.exceptions import ValidationException

    for (header, member), words in WORDS.items():
        value = headers.get(header)
        if value and value not in words:
            told = f"Member must satisfy enum value set: [{', '.join(words)}]"
            raise ValidationException(value, member, told)


def _check_size(body: Any) -> None:
    from moto.awslambda.exceptions import LambdaClientError

    size = len(body.encode() if isinstance(body, str) else body or b"")
    if size > EVENT_BYTES:
        told = (
            f"{size} byte payload is too large for the Event invocation type "
            f"(limit {EVENT_BYTES} bytes)"
        )
        refused = LambdaClientError("RequestEntityTooLargeException", told)
        refused.code = 413
        raise refused


def _check_concurrency(function: Any) -> None:
    from moto.awslambda.exceptions import LambdaClientError

    if str(function.reserved_concurrency) == "0":
        refused = LambdaClientError("TooManyRequestsException", "Rate Exceeded.")
        refused.code = 429
        raise refused
