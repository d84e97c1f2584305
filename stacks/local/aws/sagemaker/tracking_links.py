"""Links that let a browser into MLflow once, and the sessions that they begin.

Both are signed with the home's password, which they do not hold. Source: SageMaker API reference,
CreatePresignedMlflowAppUrl: a link is valid for a while and can be used once; a session ends.
"""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

LINK_SECONDS, SESSION_SECONDS = 300, 43_200
"""The longest that AWS allows, where a request says nothing."""

PATH, PARAMETER = "/auth", "authToken"
Kind = Literal["link", "session"]


def link(password: str, request: Mapping[str, Any]) -> str:
    """Path and query of a link, as the request wants it."""
    seconds = request.get("ExpiresInSeconds", LINK_SECONDS)
    session = request.get("SessionExpirationDurationInSeconds", SESSION_SECONDS)
    return f"{PATH}?{PARAMETER}={_signed(password, 'link', seconds, session_seconds=session)}"


def session(password: str, content: Mapping[str, Any]) -> str:
    """The token of the session that a link begins."""
    return _signed(password, "session", content["session_seconds"])


def content(password: str, kind: Kind, token: str) -> Mapping[str, Any] | None:
    """What a token says; None: it is not ours, of another kind, or over."""
    text, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(password, text).encode()):
        return None
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text))
    return found if found["kind"] == kind and found["until"] > time.time() else None


def _signed(password: str, kind: Kind, seconds: int, **more: int) -> str:
    said = {"kind": kind, "until": time.time() + seconds, "id": secrets.token_hex(8), **more}
    text = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
    return f"{text}.{_signature(password, text)}"


def _signature(password: str, text: str) -> str:
    return hmac.new(password.encode(), text.encode(), "sha256").hexdigest()
