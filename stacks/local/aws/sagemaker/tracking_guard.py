"""The MLflow server with a check in front: loopback names, no foreign web page, a password.

MLflow's own login keeps users and permissions in a database; here there is one person, whose
password is made with the other keys of the home. MLflow's client sends it by itself when
`plinth env local` has set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; a browser asks, or
comes by a presigned link (`tracking_links`).
"""

import base64
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from stacks import garbage
from stacks.local.aws.sagemaker import tracking_links
from stacks.local.runtime.loopback import refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

NEEDED = b"the password of `plinth env local` is needed"
PORT_VARIABLE = "PLINTH_TRACKING_PORT"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """An ASGI application in front of another, which sees requests with the password alone."""

    application: Application
    port: int
    user: str
    password: str
    used: set[str] = field(default_factory=set)
    """Ids of links that were followed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refusal(headers) if scope["type"] == "http" else (403, b"no WebSockets")
        if refused is None:
            await self.application(scope, receive, send)
        elif cookie := self._followed(scope, refused):
            await _answer(send, 302, b"", (b"location", b"/"), (b"set-cookie", cookie))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, *refused)

    def _refusal(self, headers: MutableMapping[bytes, str]) -> tuple[int, bytes] | None:
        """Status and reason of a request that is not answered."""
        why = refusal(headers.get(b"host"), headers.get(b"origin"), self.port)
        if why is not None:
            return 403, why.encode()
        given = headers.get(b"authorization", "").encode("latin-1")
        if hmac.compare_digest(given, login(self.user, self.password).encode()):
            return None
        if tracking_links.content(self.password, "session", self._cookie(headers)):
            return None
        at_the_address_bar = headers.get(b"sec-fetch-mode") == "navigate"
        return 401 if at_the_address_bar else 403, NEEDED

    @property
    def _cookie_name(self) -> str:
        return f"plinth_tracking_{self.port}"

    def _cookie(self, headers: MutableMapping[bytes, str]) -> str:
        try:
            found = SimpleCookie(headers.get(b"cookie", "")).get(self._cookie_name)
        except CookieError:
            return ""
        return found.value if found else ""

    def _followed(self, scope: Scope, refused: tuple[int, bytes]) -> bytes:
        """The cookie for who follows a link for the first time; empty: nobody does."""
        if refused[1] != NEEDED or scope["path"] != tracking_links.PATH:
            return b""
        token = parse_qs(scope["query_string"].decode()).get(tracking_links.PARAMETER, [""])[0]
        found = tracking_links.content(self.password, "link", token)
        if found is None or found["id"] in self.used:
            return b""
        self.used.add(found["id"])
        value = tracking_links.session(self.password, found)
        return f"{self._cookie_name}={value}; Path=/; HttpOnly; SameSite=Lax".encode()


async def _answer(send: Send, status: int, reason: bytes, *more: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(reason)).encode())
    headers = [(b"content-type", b"text/plain"), length, *more]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="plinth local"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason})


def application() -> Application:
    """What uvicorn serves: MLflow's application behind the guard, from this environment."""
    garbage.put_off()
    from mlflow.server.fastapi_app import app

    garbage.take_up()
    return Guard(
        application=app,
        port=int(os.environ[PORT_VARIABLE]),
        user=os.environ["MLFLOW_TRACKING_USERNAME"],
        password=os.environ["MLFLOW_TRACKING_PASSWORD"],
    )


def login(user: str, password: str) -> str:
    """The value of `Authorization` for a user (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
