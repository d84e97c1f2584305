"""SageMaker as a WSGI application in front of moto: told apart by target header and signature."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from werkzeug.datastructures import EnvironHeaders

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import api, features, invoke
from stacks.local.aws.sagemaker.asynchronous import Queues, invoke_async
from stacks.local.aws.sagemaker.capture import Captures
from stacks.local.aws.sagemaker.errors import ApiError, not_emulated
from stacks.local.aws.sagemaker.shapes import check_request, service, to_json

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

TARGET_PREFIX = "SageMaker."
SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
INVOCATIONS = re.compile(r"/endpoints/(?P<name>[^/]+)/(?P<queued>async-)?invocations")
FEATURE_GROUP = re.compile(r"/FeatureGroup/(?P<name>.+)")
FEATURE_STORE = "sagemaker-featurestore-runtime"
RECORD_OPERATIONS = {
    "PUT": "PutRecord",
    "GET": "GetRecord",
    "DELETE": "DeleteRecord",
    "POST /BatchGetRecord": "BatchGetRecord",
}
"""HTTP method on a feature group's path, or method and path -> operation."""

REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    424: "Failed Dependency",
    429: "Too Many Requests",
    501: "Not Implemented",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP answer."""

    body: bytes
    headers: Mapping[str, str]
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
        if not (target.startswith(TARGET_PREFIX) or (scope and scope["service"] == "sagemaker")):
            return self.fallback(environ, start)
        try:
            if scope and scope["region"] != self.emulator.region:
                raise not_emulated(f"region {scope['region']}", f"use {self.emulator.region}")
            reply = self._reply(environ, target)
        except ApiError as error:
            reply = _error_reply(error)
        except Exception as error:
            log.exception("%s %s failed", environ["PATH_INFO"], target)
            reply = _error_reply(
                ApiError("InternalFailure", f"fault of the local cloud: {error!r}", status=500)
            )
        start(f"{reply.status} {REASONS.get(reply.status, 'Error')}", [*reply.headers.items()])
        return [reply.body]

    def _reply(self, environ: Environ, target: str) -> Reply:
        body = _body(environ)
        if target.startswith(TARGET_PREFIX):
            request = json.loads(body or b"{}")
            answer = api.call(self.emulator, target.removeprefix(TARGET_PREFIX), request)
            return _json_reply(answer, "application/x-amz-json-1.1")
        path = environ["PATH_INFO"]
        invocation = INVOCATIONS.fullmatch(path)
        if invocation and environ["REQUEST_METHOD"] == "POST":
            headers = EnvironHeaders(environ)
            if invocation["queued"]:
                answer, told = invoke_async(
                    self.emulator, self.captures, self.queues, invocation["name"], headers
                )
                reply = _json_reply(answer, "application/json", status=202)
                return replace(reply, headers={**reply.headers, **told})
            answer_body, answer_headers = invoke.invoke(
                self.emulator, self.captures, invocation["name"], headers, body
            )
            return Reply(body=answer_body, headers={**_common(answer_body), **answer_headers})
        return self._feature_store(environ, path, body)

    def _feature_store(self, environ: Environ, path: str, body: bytes) -> Reply:
        """The feature store runtime: a REST API signed as `sagemaker`."""
        method = environ["REQUEST_METHOD"]
        record = FEATURE_GROUP.fullmatch(path)
        operation = RECORD_OPERATIONS.get(method if record else f"{method} {path}")
        if operation is None:
            raise not_emulated(f"{method} {path}", "nobody has built it")
        request: dict[str, Any] = json.loads(body) if body else {}
        if record:
            request["FeatureGroupName"] = record["name"]
            request.update(_query(operation, environ.get("QUERY_STRING", "")))
        check_request(operation, request, FEATURE_STORE)
        answer = features.RUNTIME[operation](self.emulator, request)
        return _json_reply(answer, "application/json")


def _body(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    return bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))


def _query(operation: str, text: str) -> dict[str, Any]:
    """Members of the request that stand in the query string."""
    values = parse_qs(text, keep_blank_values=True)
    shape = service(FEATURE_STORE).operation_model(operation).input_shape
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        given = values.get(member.serialization.get("name", name))
        if given and member.serialization.get("location") == "querystring":
            found[name] = given if member.type_name == "list" else given[0]
    return found


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


def _common(body: bytes) -> dict[str, str]:
    return {"Content-Length": str(len(body)), "x-amzn-RequestId": str(uuid.uuid4())}
