"""AWS's protocols: which operation a request asks for, with what, and how an answer is written.

Requests are read and answers written by moto's own parsers and serializers, from botocore's service
models.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

SCOPE = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")

Environ = dict[str, Any]

BODY = "plinth.body"
"""Key of a request's body in its WSGI environment, whoever has read the stream."""


class AnswerError(Exception):
    """An error answer: its class name is the code, as moto's serializers expect."""

    status: int | None = None
    """HTTP status. Default: that of the service's model, or else 400."""


def error_of(code: str, message: str) -> AnswerError:
    """The error with this code and text."""
    made = type(code, (AnswerError,), {})(message)
    made.code, made.message = code, message
    return made  # type: ignore[no-any-return]


@functools.cache
def model_of(service: str) -> Any:
    """botocore's model of a service."""
    from moto.core.utils import get_service_model

    return get_service_model(service)


@functools.cache
def protocol_of(service: str) -> str:
    """The protocol in which clients speak to a service here: of those it has, one that moto reads.

    AWS adds newer ones (CBOR) to services that clients reach by an older one as well.
    """
    from moto.core.parse import PROTOCOL_PARSERS

    metadata = model_of(service).metadata
    offered = [metadata["protocol"], *metadata.get("protocols", ())]
    return str(next(one for one in offered if one in PROTOCOL_PARSERS))


def signed_for(environ: Mapping[str, Any]) -> str:
    """The name of the service that a request is signed for; empty: it is not signed by header."""
    scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["service"] if scope else ""


def operation_of(service: str, environ: Environ, known: frozenset[str]) -> str | None:
    """The operation of a request, if it is one of these."""
    protocol = protocol_of(service)
    if protocol == "json":
        name: str | None = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    elif protocol in ("query", "ec2"):
        name = action_of(environ)
    else:
        name = _rest_operation(service, environ, known)
    return name if name in known else None


def action_of(environ: Environ) -> str:
    """The operation that a form names; empty: it names none."""
    return parse_qs(body_of(environ).decode(errors="replace")).get("Action", [""])[0]


def _rest_operation(service: str, environ: Environ, known: frozenset[str]) -> str | None:
    asked = set(parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    method, path = environ["REQUEST_METHOD"], _path(environ)
    for name, (verb, pattern, flags) in _routes(service, known).items():
        if verb == method and pattern.fullmatch(path) and flags <= asked:
            return name
    return None


@functools.cache
def _routes(
    service: str, known: frozenset[str]
) -> dict[str, tuple[str, re.Pattern[str], frozenset[str]]]:
    """Method, path and fixed part of the query of operations.

    Fixed paths come first, and of one path what asks for more: `/{Bucket}?acl` before `/{Bucket}`.
    """
    routes = {}
    for name in known:
        http = model_of(service).operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(path))
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
        flags = frozenset(parse_qs(query, keep_blank_values=True))
        routes[name] = (http["method"], re.compile(pattern + "/?"), flags)
    return dict(sorted(routes.items(), key=_breadth))


def _breadth(item: tuple[str, tuple[str, re.Pattern[str], frozenset[str]]]) -> tuple[int, int, str]:
    name, (_, pattern, flags) = item
    return pattern.pattern.count("("), -len(flags), name


def _path(environ: Environ) -> str:
    """The path as it was sent: an ARN in it has its slashes escaped."""
    raw: str = environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return raw.partition("?")[0]


def body_of(environ: Environ) -> bytes:
    """The request's body, which stays readable for whoever comes next."""
    if BODY not in environ:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ[BODY] = environ["wsgi.input"].read(size)
        environ["wsgi.input"] = io.BytesIO(environ[BODY])
    body: bytes = environ[BODY]
    return body


def parsed(service: str, operation: str, environ: Environ, known: frozenset[str]) -> dict[str, Any]:
    """The members of a request, by their names in botocore's model."""
    from moto.core.parse import PROTOCOL_PARSERS
    from werkzeug.datastructures import EnvironHeaders, MultiDict
    from werkzeug.wrappers import Request

    model = model_of(service)
    body = body_of(environ)
    asked = Request({**environ, "wsgi.input": io.BytesIO(body)})
    params: dict[str, str] = {}
    if protocol_of(service).startswith("rest"):
        match = _routes(service, known)[operation][1].fullmatch(_path(environ))
        params = {k: unquote(v) for k, v in match.groupdict().items()} if match else {}
    parser = PROTOCOL_PARSERS[protocol_of(service)](model.operation_model(operation))
    values = MultiDict([*asked.args.items(multi=True), *asked.form.items(multi=True)])
    return dict(
        parser.parse(
            {
                "method": environ["REQUEST_METHOD"],
                "values": values,
                "headers": EnvironHeaders(environ),
                "body": body,
                "url_path": environ["PATH_INFO"],
                "url_params": params,
            }
        )
    )


def serialized(service: str, operation: str, answer: Any) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of an answer, or of an error."""
    from moto.core.serialize import get_serializer_class

    model = model_of(service)
    serializer = get_serializer_class(service, protocol_of(service))
    done = serializer(operation_model=model.operation_model(operation)).serialize(answer)
    body = done["body"].encode() if isinstance(done["body"], str) else bytes(done["body"])
    return int(done["status_code"]), {**done["headers"], "Content-Length": str(len(body))}, body
