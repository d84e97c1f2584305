"""Refusals as answers, in the words of the protocol that a client speaks; and no page of HTML.

What moto has not got it answers with a page: a client of AWS shows that page to a person, after it
has asked twice more. Here such an answer becomes AWS's refusal of a request that is malformed,
`NotEmulated` with status 501, which no client asks again, or a fault of ours that says so.
"""

import html
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError

from stacks.local.aws.bearer_tokens import error_body, is_route
from stacks.local.aws.bodies import problem
from stacks.local.aws.iam.asked import SIGNED_AS
from stacks.local.aws.protocols import action_of, protocol_of, signed_for
from stacks.local.aws.signatures import Refused

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

FORM = "x-www-form-urlencoded"
"""In the content type of requests to query services and EC2."""

NO_PAGE = 404
PAGE = (b"<!doctype html", b"<html", b"<title")
"""How a page of werkzeug's begins."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Answering:
    """A WSGI application in front of another, whose pages and exceptions become AWS's errors."""

    application: Application

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        started: list[Any] = []

        def noted(*what: Any) -> None:
            started[:] = what

        try:
            chunks = self.application(environ, noted)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is becomes an answer
            return answered(environ, _refusal(environ, error), start)
        status, headers = int(started[0].split()[0]), started[1]
        said_page = any(n.lower() == "content-type" and "html" in v for n, v in headers)
        if status < 400 or not said_page:
            start(*started)
            return chunks
        body = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        # moto names no type where it answers in AWS's words, or without any, as a HEAD
        if not body.lstrip().lower().startswith(PAGE):
            start(*started)
            return [body]
        return answered(environ, _refusal(environ, status), start)


def _refusal(environ: Environ, found: int | Exception) -> Refused:
    """What AWS would say, as far as the request shows it; what was found is in the log."""
    if isinstance(found, Refused):  # said by what stands in for a service
        return found
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    named = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if FORM in environ.get("CONTENT_TYPE", ""):
        named = action_of(environ)
    asked = named or f"{method} {path}"
    service = signed_for(environ) or "s3"
    wrong = problem(environ)
    if wrong is not None:
        return wrong
    if isinstance(found, OperationNotFoundError):
        told = f"The action {str(found)[:80]!r} is not valid for this web service."
        return Refused("InvalidAction", told, status=400)
    if isinstance(found, NotImplementedError) or found == NO_PAGE or not _has(service):
        told = f"{service}: {asked} is not emulated by the local cloud: nobody has built it"
        return Refused("NotEmulated", told, status=501)
    log.error("%s %s", service, asked, exc_info=found if isinstance(found, Exception) else None)
    told = f"fault of the local cloud in {service}: {asked}: {found!r}"
    return Refused("InternalFailure", told[:500], status=500)


def _has(service: str) -> bool:
    """Whether moto has a service by the name that requests are signed with."""
    from moto.backends import list_of_moto_modules
    from moto.moto_server.werkzeug_app import SIGNING_ALIASES

    named = SIGNING_ALIASES.get(service, service)
    known = {name.replace("_", "").replace("-", "") for name in list_of_moto_modules()}
    return named.replace("-", "") in known | {"lambda", "logs", "states", "ses", "monitoring"}


def answered(environ: Environ, refused: Refused, start: Start) -> Iterable[bytes]:
    """The refusal in the words of the protocol that the client speaks."""
    content_type, body = _body(environ, refused)
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", str(uuid4())),
        ("x-amzn-ErrorType", refused.code),
        ("Connection", "close"),
    ]
    start(f"{refused.status} {HTTPStatus(refused.status).phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _body(environ: Environ, refused: Refused) -> tuple[str, bytes]:
    if is_route(environ):
        return "application/json", error_body(refused.code, refused.message)
    code, message = html.escape(refused.code), html.escape(refused.message)
    protocol = refused.protocol or _protocol(environ)
    if protocol in ("query", "ec2"):
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        text = (
            f"<Response><Errors>{error}</Errors><RequestID>-</RequestID></Response>"
            if protocol == "ec2"
            else f"<ErrorResponse>{error}<RequestId>-</RequestId></ErrorResponse>"
        )
        return "text/xml", text.encode()
    if "json" in protocol:
        members = {"__type": refused.code, "message": refused.message, "Message": refused.message}
        return "application/x-amz-json-1.1", json.dumps(members).encode()
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return "application/xml", text.encode()


def _protocol(environ: Environ) -> str:
    """The protocol that the headers of a request point to, or else its service's own."""
    content_type = environ.get("CONTENT_TYPE", "")
    if FORM in content_type:
        scope = environ.get("HTTP_AUTHORIZATION", "")
        return "ec2" if "/ec2/aws4_request" in scope else "query"
    if "json" in content_type or "HTTP_X_AMZ_TARGET" in environ:
        return "json"
    service = signed_for(environ)
    try:
        return protocol_of(SIGNED_AS.get(service, (service,))[0])
    except UnknownServiceError:
        return "rest-xml"
