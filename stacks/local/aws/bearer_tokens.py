"""Bearer tokens of the OpenAI-compatible route of SageMaker's endpoints.

A token is a presigned `CallWithBearerToken` request of SageMaker in base64: whoever signed it asks.
Source: SageMaker developer guide, "Invoke endpoints with OpenAI-compatible APIs"; what the URL
looks like: SageMaker Python SDK, `sagemaker.core.token_generator`.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stacks.local.aws.signatures import Refused, Request, claim_of

ROUTE = re.compile(
    r"/endpoints/(?P<endpoint>[^/]+)(/inference-components/(?P<component>[^/]+))?"
    r"/openai/v1/chat/completions"
)
"""The paths that take such tokens, and nothing else."""

ACTION = "CallWithBearerToken"
BEARER, PREFIX = "Bearer ", "sagemaker-api-key-"
HOST = "sagemaker.amazonaws.com"
VERSION = "&Version=1"
"""Stands behind the presigned URL, unsigned."""

LONGEST_SECONDS = 12 * 3600
"""How long a token may live."""


def is_route(environ: Mapping[str, Any]) -> bool:
    """Whether a request is one of this route's."""
    return ROUTE.fullmatch(environ["PATH_INFO"]) is not None


def signed(environ: Mapping[str, Any], request: Request) -> Request:
    """The request whose signature says who asks: itself, or the one in its token."""
    if not is_route(environ):
        return request
    return _in(request.headers.get("authorization", ""))


def region(environ: Mapping[str, Any]) -> str:
    """The region for which the token of a request is signed."""
    claim = claim_of(_in(environ.get("HTTP_AUTHORIZATION", "")))
    return claim.region if claim else ""


def _in(said: str) -> Request:
    if not said.startswith(f"{BEARER}{PREFIX}"):
        told = f"Authorization must be a bearer token of SageMaker ({PREFIX}...)"
        raise Refused("AccessDeniedException", told)
    return _presigned(said.removeprefix(f"{BEARER}{PREFIX}"))


def _presigned(token: str) -> Request:
    """The request in a token; Refused where it is not the one that tokens are made of."""
    try:
        url = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        raise _invalid("it is not base64") from None
    parts = urlsplit(f"https://{url.removesuffix(VERSION)}")
    found = Request(
        method="POST", target=f"/?{parts.query}", headers={"host": parts.netloc}, body=b""
    )
    said = (parts.netloc, parts.path, dict(parse_qsl(parts.query)).get("Action"))
    if not url.endswith(VERSION) or said != (HOST, "/", ACTION):
        raise _invalid(f"it is no {ACTION} of {HOST}")
    claim = claim_of(found)
    if claim is None or claim.service != "sagemaker":
        raise _invalid("it is not signed for sagemaker")
    if not 0 < (claim.expires_seconds or 0) <= LONGEST_SECONDS:
        raise _invalid(f"X-Amz-Expires must be between 1 and {LONGEST_SECONDS} seconds")
    return found


def _invalid(why: str) -> Refused:
    return Refused("AccessDeniedException", f"The bearer token is invalid: {why}.")


def error_body(code: str, message: str, **members: object) -> bytes:
    """A refusal as OpenAI's clients read it."""
    error = {"message": message, "type": code, "param": None, "code": code}
    return json.dumps({"error": error, **members}).encode()
