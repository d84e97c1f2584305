"""The overlay as a WSGI application in front of moto: told apart by target header and signature."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import EnvironHeaders

from stacks.local.sagemaker import api, invoke
from stacks.local.sagemaker.capture import Captures
from stacks.local.sagemaker.errors import ApiError, not_emulated
from stacks.local.sagemaker.shapes import to_json
from stacks.local.sagemaker.world import World

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

TARGET_PREFIX = "SageMaker."
SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
INVOCATIONS = re.compile(r"/endpoints/(?P<name>[^/]+)/invocations")
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 424: "Failed Dependency"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP answer."""

    body: bytes
    headers: Mapping[str, str]
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """SageMaker answered here, everything else by the application behind."""

    world: World
    captures: Captures
    behind: Application

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if not (target.startswith(TARGET_PREFIX) or (scope and scope["service"] == "sagemaker")):
            return self.behind(environ, start)
        try:
            if scope and scope["region"] != self.world.region:
                raise not_emulated(f"region {scope['region']}", f"use {self.world.region}")
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
            answer = api.call(self.world, target.removeprefix(TARGET_PREFIX), request)
            return _json_reply(answer, "application/x-amz-json-1.1")
        path = environ["PATH_INFO"]
        invocation = INVOCATIONS.fullmatch(path)
        if invocation and environ["REQUEST_METHOD"] == "POST":
            headers = EnvironHeaders(environ)
            answer_body, answer_headers = invoke.invoke(
                self.world, self.captures, invocation["name"], headers, body
            )
            return Reply(body=answer_body, headers={**_common(answer_body), **answer_headers})
        raise not_emulated(f"{environ['REQUEST_METHOD']} {path}", "nobody has built it")


def _body(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    return bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))


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
