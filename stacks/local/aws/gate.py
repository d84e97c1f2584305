"""Who may talk to the AWS endpoint: checked before anything else looks at a request.

A request must name this endpoint by a loopback address or `localhost` (against DNS rebinding), may
come from no web page of another origin, and must be signed with a key that this cloud knows. What a
browser would need to call across origins (CORS) is never answered, and moto's own API (reset, seed,
recorder) is closed.
"""

import io
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY

from stacks.local.aws import bearer_tokens
from stacks.local.aws.answers import answered
from stacks.local.aws.bodies import check_body, largest_body, unpack
from stacks.local.aws.iam import web_identities
from stacks.local.aws.protocols import BODY
from stacks.local.aws.signatures import (
    Refused,
    Request,
    Secret,
    SecretOf,
    access_key_of,
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

ARRIVED = "plinth.arrived"
"""In the WSGI environment: what to call when the whole request is there."""

STRANGERS_BYTES = 1 << 20
"""Most of a body whose request names no key of ours: it is read before its signature is known."""

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
            request = _request(environ, self._limit(environ))
            signed = bearer_tokens.signed(environ, request)
            if web_identities.asks(environ, request.body):
                access_key_id, service = "", "sts"  # the token in it says who asks
            else:
                access_key_id = self._check_signature(environ, signed)
                service = service_of(signed) or "s3"  # a form of S3 names none
            body = unpack(environ, request.body, service)
            check_body(environ, body)
            self._authorize(environ, body, service, access_key_id)
        except Refused as refused:
            asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            log.warning("refused %s %r: %s", *asked, refused)
            return answered(environ, refused, _closing(start))
        return self.application(environ, _without_cors(start))

    def _limit(self, environ: Environ) -> int:
        """Most bytes of a body; few where nobody whom we know says that it is from them."""
        headers = Request(
            method=environ["REQUEST_METHOD"],
            target=environ["RAW_URI"],
            headers=_headers(environ),
            body=b"",
        )
        signed = bearer_tokens.signed(environ, headers)
        key = access_key_of(signed)
        known = key is not None and self.secret_of(key) is not None
        return largest_body(environ, service_of(signed)) if known else STRANGERS_BYTES

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


def _request(environ: Environ, limit: int) -> Request:
    """The request with its body read, which stays there for the application."""
    body = environ[BODY] = _body(environ, limit)
    environ["wsgi.input"] = io.BytesIO(body)
    if environ.pop("wsgi.input_terminated", None):
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop(ARRIVED, lambda: None)()
    request = Request(
        method=environ["REQUEST_METHOD"],
        target=environ["RAW_URI"],
        headers=_headers(environ),
        body=body,
    )
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # werkzeug reads no body that comes in chunks
    return request


def _body(environ: Environ, limit: int) -> bytes:
    """All of it, or as much as shows that it is too large."""
    stream, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or "0"
    terminated = environ.get("wsgi.input_terminated")
    if terminated and environ.get("CONTENT_LENGTH"):
        told = "a request must have one of Content-Length and Transfer-Encoding, got both"
        raise Refused("InvalidRequest", told, status=400)
    if not length.isdecimal() or len(length) > 19:
        told = f"Content-Length must be a number, got {length[:40]!r}"
        raise Refused("InvalidRequest", told, status=400)
    if int(length) > limit:
        raise _too_large(limit, f"{int(length)}")
    if not terminated:
        return bytes(stream.read(int(length)))
    chunks, size = [], 0
    while chunk := stream.read(1 << 20):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit, "more")
    return b"".join(chunks)


def _too_large(limit: int, got: str) -> Refused:
    told = f"a request must have at most {limit} bytes here, got {got}"
    return Refused("RequestEntityTooLargeException", told, status=413)


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


def _closing(start: Start) -> Start:
    """No thread waits for what a refused caller may ask next."""

    def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        return start(status, [*headers, ("Connection", "close")], *more)

    return started


def _without_cors(start: Start) -> Start:
    def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(n, v) for n, v in headers if not n.lower().startswith("access-control-")]
        return start(status, kept, *more)

    return started


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
