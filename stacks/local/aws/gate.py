"""Who may talk to the AWS endpoint: checked before anything else looks at a request.

A request must name this endpoint by a loopback address or `localhost` (against DNS rebinding), may
come from no web page of another origin, and must be signed with a key that this cloud knows. What a
browser would need to call across origins (CORS) is never answered, and moto's own API (reset, seed,
recorder) is closed.
"""

import html
import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import uuid4

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY

from stacks.local.aws.signatures import (
    Refused,
    Request,
    Secret,
    SecretOf,
    service_of,
    verify,
    verify_form,
)
from stacks.local.runtime.loopback import refusal

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]
Authorize = Callable[[Mapping[str, Any], bytes, str, str], None]
"""WSGI environment, body, service of the signature, access key id: Refused where IAM denies."""

STATUS = {400: "400 Bad Request", 403: "403 Forbidden", 500: "500 Internal Server Error"}

MOTO_API = re.compile(r"/+moto-api(/|$)", re.IGNORECASE)
"""moto's pages that seed, reset and read everything; werkzeug decodes the path before."""

CLAIMED_BY_MOTO = frozenset(("moto_api", "motoapi", "moto-api", "instance_metadata"))
"""Services of moto that AWS does not have, as the scope of a signature could name them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A WSGI application in front of another, which sees signed requests alone."""

    application: Application
    port: int
    secret_of: SecretOf
    authorize: Authorize
    """Refuses what IAM denies."""

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        try:
            self._check_origin(environ)
            request = _request(environ)
            access_key_id = self._check_signature(environ, request)
            service = service_of(request) or "s3"  # a form of S3 names none
            self._authorize(environ, request.body, service, access_key_id)
        except Refused as refused:
            asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            log.warning("refused %s %r: %s", *asked, refused)
            return _answer(environ, refused, start)
        return self.application(environ, _without_cors(start))

    def _authorize(self, environ: Environ, body: bytes, service: str, access_key_id: str) -> None:
        """Refused where IAM denies; a fault of ours lets nobody through."""
        try:
            self.authorize(environ, body, service, access_key_id)
        except Refused:
            raise
        except Exception as error:
            log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            told = f"fault of the local cloud in IAM's decision: {error!r}"
            raise Refused("InternalFailure", told, status=500) from error

    def _check_origin(self, environ: Environ) -> None:
        why = refusal(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"), self.port)
        if why is not None:
            raise Refused("AccessDenied", why)
        if MOTO_API.match(environ["PATH_INFO"]):
            raise Refused("AccessDenied", "moto's own API is closed")

    def _check_signature(self, environ: Environ, request: Request) -> str:
        """The access key id that the request was signed with."""
        fields = _form_of_an_upload(environ, request)
        if fields is not None:
            bucket = environ["PATH_INFO"].strip("/")
            return verify_form(bucket, fields, self.secret_of)
        access_key_id = verify(request, self.secret_of)
        if service_of(request) in CLAIMED_BY_MOTO:
            raise Refused("AccessDenied", "moto's own API is closed")
        return access_key_id


def _request(environ: Environ) -> Request:
    """The request with its body read, which stays there for the application."""
    stream, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Refused("InvalidRequest", f"Content-Length must be a number, got {length!r}")
    terminated = environ.get("wsgi.input_terminated")
    body = stream.read() if terminated else stream.read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return Request(
        method=environ["REQUEST_METHOD"],
        target=environ["RAW_URI"],
        headers=_headers(environ),
        body=body,
    )


def _headers(environ: Environ) -> dict[str, str]:
    """Values by name in lower case; WSGI makes `-` of `_` in names, moto's handler kept those."""
    as_sent: Mapping[str, str] = environ.get(PRESERVED_HEADER_NAMES_ENVIRON_KEY, {})
    found = {}
    for key, value in environ.items():
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = as_sent.get(key) or key.removeprefix("HTTP_").replace("_", "-")
            found[name.lower()] = value.encode("latin-1").decode(errors="replace")
    return found


def _form_of_an_upload(environ: Environ, request: Request) -> Mapping[str, str] | None:
    """The fields of a form that uploads to S3 by a signed policy; None of any other request."""
    content_type = request.headers.get("content-type", "")
    if request.method != "POST" or not content_type.startswith("multipart/form-data"):
        return None
    if "authorization" in request.headers or "X-Amz-Signature" in request.target:
        return None
    from werkzeug.formparser import parse_form_data

    copy = {**environ, "wsgi.input": io.BytesIO(request.body)}
    _, fields, files = parse_form_data(copy)
    found = {str(name): str(value) for name, value in fields.items()}
    for name, file in files.items():
        found.setdefault("filename" if name == "file" else str(name), str(file.filename))
    return found


def _without_cors(start: Start) -> Start:
    def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(n, v) for n, v in headers if not n.lower().startswith("access-control-")]
        return start(status, kept, *more)

    return started


def _answer(environ: Environ, refused: Refused, start: Start) -> Iterable[bytes]:
    """The refusal in the words of the protocol that the client speaks."""
    content_type, body = _body(environ, refused)
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", str(uuid4())),
        ("x-amzn-ErrorType", refused.code),
        ("Connection", "close"),
    ]
    start(STATUS[refused.status], headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _body(environ: Environ, refused: Refused) -> tuple[str, bytes]:
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
    """The protocol that the headers of a request point to."""
    content_type = environ.get("CONTENT_TYPE", "")
    if "x-www-form-urlencoded" in content_type:
        scope = environ.get("HTTP_AUTHORIZATION", "")
        return "ec2" if "/ec2/aws4_request" in scope else "query"
    if "json" in content_type or "HTTP_X_AMZ_TARGET" in environ:
        return "json"
    return "rest-xml"


def known_secrets(own_key: str, own_secret: str, sessions: Mapping[str, Secret]) -> SecretOf:
    """Secrets of the home's own key, of sessions, and of every key that moto's IAM gave out."""
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends

    known = {own_key: Secret(secret_access_key=own_secret)}

    def secret_of(asked: str) -> Secret | None:
        if asked in known or asked in sessions:
            return known.get(asked) or sessions[asked]
        for accounts in list(sts_backends.values()):
            for backend in list(accounts.values()):
                role = backend.get_assumed_role_from_access_key(asked)
                if role is not None:
                    return Secret(
                        secret_access_key=role.secret_access_key,
                        session_token=role.session_token,
                        expires=role.expiration.replace(tzinfo=UTC).timestamp(),  # moto's is naive
                    )
        for accounts in list(iam_backends.values()):
            for backend in list(accounts.values()):
                key = backend.access_keys.get(asked)
                if key is not None and key.status == "Active":
                    return Secret(secret_access_key=key.secret_access_key)
        return None

    return secret_of
