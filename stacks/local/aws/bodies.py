"""The bodies of requests before a service sees them: how large they may be, and whether they parse.

A service of AWS refuses what is not its protocol with a code of its own, before it looks for what
was meant. moto looks first, and fails somewhere in the middle.
"""

import functools
import io
import json
import re
import zlib
from typing import Any
from urllib.parse import parse_qs
from xml.parsers import expat

from botocore.exceptions import UnknownServiceError
from botocore.validate import ParamValidator

from stacks.local.aws.protocols import BODY, SCOPE, body_of, model_of, parsed, signed_for
from stacks.local.aws.signatures import Refused

Environ = dict[str, Any]

FORM_BYTES = 4 << 20
"""Of the query protocol: the largest is some 1 MiB (PutMetricData)."""

REQUEST_BYTES = 70_167_211
"""Of all others but S3: the largest is code of a function, in base64 (Lambda answers "Request must
be smaller than 70167211 bytes for the CreateFunction operation")."""

OBJECT_BYTES = 5 << 30
"""Of one upload to S3 (S3 user guide, "Uploading objects": up to 5 GB in a single PUT)."""

DEPTH = 100
"""Of JSON; the deepest that botocore's models describe is some 20, but documents are free."""

COMPRESSED = ("monitoring",)
"""Services whose clients compress large requests, by the name they are signed with (the trait
requestCompression in botocore's models: PutMetricData)."""

PASSED_ON = re.compile(r"/(async-)?invocations|/invoke-async|/invoke|/topics/")
"""Paths whose body is for somebody's program, and may be anything."""

FORM = "application/x-www-form-urlencoded"


def largest_body(environ: Environ, service: str) -> int:
    """Most bytes that a service takes in one request."""
    if environ.get("CONTENT_TYPE", "").startswith(FORM):
        return FORM_BYTES
    return OBJECT_BYTES if service.startswith("s3") or not service else REQUEST_BYTES


def check_body(environ: Environ, body: bytes) -> None:
    """Refused where a body is not of the protocol that its request speaks."""
    if environ.get("CONTENT_TYPE", "").startswith(FORM):
        _utf8(body, "MalformedQueryString")
    elif body and ("HTTP_X_AMZ_TARGET" in environ or _is_rest_json(environ)):
        document(body)


def unpack(environ: Environ, body: bytes, service: str) -> bytes:
    """The body as it was before its client compressed it; the request then says nothing of it.

    S3 keeps what is compressed as it is, and programs get it as it was sent.
    """
    if service not in COMPRESSED or environ.get("HTTP_CONTENT_ENCODING", "").lower() != "gzip":
        return body
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # gzip alone
    try:
        found = unpacking.decompress(body, REQUEST_BYTES)
    except zlib.error as error:
        raise _malformed(f"the body is not gzip: {error}") from None
    if not unpacking.eof:
        raise _malformed(f"the body must be whole, and at most {REQUEST_BYTES} bytes")
    del environ["HTTP_CONTENT_ENCODING"]
    environ |= {BODY: found, "wsgi.input": io.BytesIO(found), "CONTENT_LENGTH": str(len(found))}
    return found


def document(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; Refused as AWS refuses what is none."""
    text = _utf8(body, "SerializationException")
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise _malformed(f"JSON must be nested at most {DEPTH} times") from None
    except ValueError as error:
        raise _malformed(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _malformed(f"the body must be a JSON object, got {type(found).__name__}")
    level: list[Any] = [found]
    for _ in range(DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return found
    raise _malformed(f"JSON must be nested at most {DEPTH} times")


def problem(environ: Environ) -> Refused | None:
    """What in a request explains that a service failed on it; None: the service is at fault."""
    body = body_of(environ)
    service = signed_for(environ) or "s3"
    if service == "s3":
        return _not_xml(body)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        model, operation = _model_of_target(service, target), target.rpartition(".")[2]
        return _misfit(model, operation, json.loads(body or b"{}")) if model is not None else None
    if environ.get("CONTENT_TYPE", "").startswith(FORM):
        return _problem_of_form(service, body, environ)
    return None


def _problem_of_form(service: str, body: bytes, environ: Environ) -> Refused | None:
    fields = parse_qs(body.decode())
    action, version = (fields.get(name, [""])[0] for name in ("Action", "Version"))
    for name in sorted({service, *_services_signed_as(service)}):
        try:
            model = model_of(name)
        except UnknownServiceError:
            continue
        if model.metadata["apiVersion"] != version and version:
            continue
        if action not in model.operation_names:
            told = f"The action {action[:80]!r} is not valid for this web service."
            return Refused("InvalidAction", told, status=400)
        return _misfit(model, action, parsed(name, action, environ, frozenset((action,))))
    return None


def _misfit(model: Any, operation: str, request: Any) -> Refused | None:
    """How a request differs from what botocore's model of its operation says."""
    if operation not in model.operation_names:
        told = f"{model.service_name} has no operation {operation[:80]!r}"
        return Refused("UnknownOperationException", told, status=400)
    shape = model.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape) if shape is not None else None
    if report is None or not report.has_errors():
        return None
    told = f"1 validation error detected: {report.generate_report()}"
    return Refused("ValidationException", told[:1000], status=400)


@functools.cache
def _model_of_target(service: str, target: str) -> Any:
    """botocore's model of the service that a request is signed for."""
    prefix = target.rpartition(".")[0]
    for name in {service, *_services_signed_as(service)}:
        try:
            model = model_of(name)
        except UnknownServiceError:
            continue
        if model.metadata.get("targetPrefix") == prefix:
            return model
    return None


@functools.cache
def _services_signed_as(signing_name: str) -> frozenset[str]:
    import botocore.session

    session = botocore.session.get_session()
    near = [name for name in session.get_available_services() if name.startswith(signing_name[:3])]
    return frozenset(
        name for name in near if session.get_service_model(name).signing_name == signing_name
    )


def _is_rest_json(environ: Environ) -> bool:
    scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None or scope["service"].startswith("s3") or environ["REQUEST_METHOD"] == "GET":
        return False
    is_json = "json" in environ.get("CONTENT_TYPE", "")
    return is_json and not PASSED_ON.search(environ["PATH_INFO"])


def _not_xml(body: bytes) -> Refused | None:
    try:
        expat.ParserCreate().Parse(body, True)
    except expat.ExpatError as error:
        told = f"The XML you provided was not well-formed: {error}"
        return Refused("MalformedXML", told, status=400) if body else None
    return None


def _utf8(body: bytes, code: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Refused(code, f"the body is not UTF-8: byte {error.start}", status=400) from None


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _malformed(told: str) -> Refused:
    return Refused("SerializationException", told, status=400)
