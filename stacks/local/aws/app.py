"""SageMaker as a WSGI application in front of moto: told apart by target header and signature."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.datastructures import EnvironHeaders

from stacks.local.aws import bearer_tokens
from stacks.local.aws.bearer_tokens import ROUTE, error_body
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.iam import mlflow
from stacks.local.aws.protocols import body_of, operation_of, parsed
from stacks.local.aws.sagemaker import (
    api,
    chat,
    experiment_metrics,
    features,
    invoke,
    streaming,
    tracking_proxy,
)
from stacks.local.aws.sagemaker.asynchronous import Queues, invoke_async
from stacks.local.aws.sagemaker.capture import Captures
from stacks.local.aws.sagemaker.errors import ApiError, not_emulated
from stacks.local.aws.sagemaker.shapes import check_request, to_json

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

TARGET_PREFIX = "SageMaker."
SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
INVOCATIONS = re.compile(
    r"/endpoints/(?P<name>[^/]+)/(?P<how>(async-)?invocations(-response-stream)?)"
)
RUNTIMES: Mapping[str, Mapping[str, Callable[[Emulator, Any], Mapping[str, Any]]]] = {
    "sagemaker-featurestore-runtime": features.RUNTIME,
    "sagemaker-metrics": experiment_metrics.RUNTIME,
}
"""Service of botocore -> its operations."""

REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    424: "Failed Dependency",
    429: "Too Many Requests",
    501: "Not Implemented",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP answer."""

    headers: Mapping[str, str]
    body: bytes = b""
    parts: Iterable[bytes] | None = None
    """What comes bit by bit, closed when it is over. Default: the body."""

    status: int = 200


@dataclass(frozen=True, kw_only=True)
class SageMakerApp:
    """SageMaker answered here, everything else by the application behind."""

    emulator: Emulator
    captures: Captures
    fallback: Application
    queues: Queues = field(default_factory=Queues)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        route, tracked = ROUTE.fullmatch(environ["PATH_INFO"]), mlflow.arn_of(environ)
        is_ours = target.startswith(TARGET_PREFIX) or (scope and scope["service"] == "sagemaker")
        if not (is_ours or route or tracked):
            return self.fallback(environ, start)
        error_reply = _chat_error if route else _error_reply
        try:
            if scope and scope["region"] != self.emulator.region:
                raise not_emulated(f"region {scope['region']}", f"use {self.emulator.region}")
            if route:
                reply = self._chat(route, environ)
            elif tracked:
                reply = self._tracked(tracked, environ)
            else:
                reply = self._reply(environ, target)
        except ApiError as error:
            reply = error_reply(error)
        except Exception as error:
            log.exception("%s %s failed", environ["PATH_INFO"], target)
            reply = error_reply(
                ApiError("InternalFailure", f"fault of the local cloud: {error!r}", status=500)
            )
        start(f"{reply.status} {REASONS.get(reply.status, 'Error')}", [*reply.headers.items()])
        return [reply.body] if reply.parts is None else reply.parts

    def _tracked(self, arn: str, environ: Environ) -> Reply:
        """An answer of MLflow."""
        told = tracking_proxy.forward(self.emulator, arn, environ)
        kind = told.headers.get("Content-Type", "application/json")
        headers = {**_common(told.data), "Content-Type": kind}
        return Reply(body=told.data, headers=headers, status=told.status)

    def _reply(self, environ: Environ, target: str) -> Reply:
        body = body_of(environ)
        if target.startswith(TARGET_PREFIX):
            request = json.loads(body or b"{}")
            answer = api.call(self.emulator, target.removeprefix(TARGET_PREFIX), request)
            return _json_reply(answer, "application/x-amz-json-1.1")
        invocation = INVOCATIONS.fullmatch(environ["PATH_INFO"])
        if invocation and environ["REQUEST_METHOD"] == "POST":
            return self._invoked(invocation["how"], invocation["name"], environ, body)
        return self._rest(environ)

    def _invoked(self, how: str, endpoint: str, environ: Environ, body: bytes) -> Reply:
        headers = EnvironHeaders(environ)
        if how == "async-invocations":
            answer, told = invoke_async(
                self.emulator, self.captures, self.queues, endpoint, headers
            )
            reply = _json_reply(answer, "application/json", status=202)
            return replace(reply, headers={**reply.headers, **told})
        if how == "invocations-response-stream":
            stream, told = streaming.invoke_stream(self.emulator, endpoint, headers, body)
            return Reply(parts=stream, headers={**_request_id(), **told})
        whole, told = invoke.invoke(self.emulator, self.captures, endpoint, headers, body)
        return Reply(body=whole, headers={**_common(whole), **told})

    def _chat(self, route: re.Match[str], environ: Environ) -> Reply:
        """A chat completion asked with a bearer token, which the gate has checked."""
        headers, endpoint = EnvironHeaders(environ), route["endpoint"]
        if environ["REQUEST_METHOD"] != "POST":
            raise ApiError("ValidationError", "a chat completion is asked with POST", status=405)
        if (signed := bearer_tokens.region(environ)) != self.emulator.region:
            told = f"The bearer token is for region {signed}, not {self.emulator.region}."
            raise ApiError("AccessDeniedException", told, status=403)
        stream, shown = chat.complete(
            self.emulator, endpoint, route["component"], headers, body_of(environ)
        )
        return Reply(parts=stream, headers={**_request_id(), **shown})

    def _rest(self, environ: Environ) -> Reply:
        """The feature store's runtime and the metrics: REST APIs signed as `sagemaker`."""
        for name, operations in RUNTIMES.items():
            known = frozenset(operations)
            operation = operation_of(name, environ, known)
            if operation is not None:
                told = parsed(name, operation, environ, known)
                request = {member: value for member, value in told.items() if value != []}
                check_request(operation, request, name)
                answer = operations[operation](self.emulator, request)
                return _json_reply(answer, "application/json")
        what = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        raise not_emulated(what, "nobody has built it")


def _json_reply(answer: Mapping[str, Any], content_type: str, status: int = 200) -> Reply:
    body = to_json(answer)
    return Reply(body=body, headers={**_common(body), "Content-Type": content_type}, status=status)


def _error_reply(error: ApiError) -> Reply:
    content = {"__type": error.code, "message": error.message, "Message": error.message}
    reply = _json_reply(
        {**content, **error.members}, "application/x-amz-json-1.1", status=error.status
    )
    return Reply(
        body=reply.body,
        headers={**reply.headers, "x-amzn-errortype": error.code},
        status=reply.status,
    )


def _chat_error(error: ApiError) -> Reply:
    """The same as OpenAI's clients read it."""
    body = error_body(error.code, error.message, **error.members)
    told = {**_common(body), "Content-Type": "application/json", "x-amzn-errortype": error.code}
    return Reply(body=body, headers=told, status=error.status)


def _common(body: bytes) -> dict[str, str]:
    return {"Content-Length": str(len(body)), **_request_id()}


def _request_id() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())}
