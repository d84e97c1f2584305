"""Answers of the AWS endpoint that the provider may not have got, kept until it has.

AWS makes a thing whose answer is lost on the way (a 500 of a proxy, a cut connection), and a second
call says that it exists. The provider says for which URN it calls; where the first call went
through, a repeated one gets the first one's answer, in the same call (botocore sends the same
`amz-sdk-invocation-id` again) or in a later update (same URN and operation).
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from stacks.local.provider.backend import Properties

URN_HEADER = "X-Plinth-Urn"
OPERATION_HEADER = "X-Plinth-Create"
"""Of the one call that makes the resource: its operation."""

REMEMBERED_CALLS = 2_000
REMEMBERED_BYTES = 65_536
"""An answer to a provider is smaller; what is larger is the content of an object."""

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

_URN: ContextVar[str] = ContextVar("urn", default="")
_MAKES: ContextVar[bool] = ContextVar("makes", default=False)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response as the application gave it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(kw_only=True)
class Answers:
    """What was answered to calls for which URN."""

    calls: OrderedDict[str, Answer] = field(default_factory=OrderedDict)
    creations: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """By URN and operation, of creations that the provider has not seen end well."""

    begun: dict[str, Properties] = field(default_factory=dict)
    """Inputs of those creations by URN."""

    guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def creation(self, urn: str, inputs: Properties) -> Iterator[None]:
        """Calls in here are made to create this; it is forgotten where that ends well."""
        self.begun[urn] = inputs
        with calling(urn):
            yield
        self.forget(urn)

    def unseen(self, urn: str) -> Properties | None:
        """Inputs of a creation that AWS answered and whose end nobody saw; None: there is none."""
        with self.guard:
            made = any(one == urn for one, _ in self.creations)
        return self.begun.get(urn) if made else None

    def forget(self, urn: str) -> None:
        """The provider knows what became of it."""
        with self.guard:
            self.begun.pop(urn, None)
            for key in [key for key in self.creations if key[0] == urn]:
                del self.creations[key]

    def kept_by(self, application: Application, own_key: str) -> Application:
        """The application, whose answers to the provider are kept; it signs with the own key.

        Put it behind what checks signatures: nobody else gets what the provider was answered.
        """

        def keeping(environ: Environ, start: Start) -> Iterable[bytes]:
            urn = environ.get(_variable(URN_HEADER))
            if not urn or f"Credential={own_key}/" not in environ.get("HTTP_AUTHORIZATION", ""):
                return application(environ, start)
            call = str(environ.get("HTTP_AMZ_SDK_INVOCATION_ID", ""))
            creation = (urn, str(environ.get(_variable(OPERATION_HEADER), "")))
            with self.guard:
                known = self.calls.get(call) or self.creations.get(creation)
            answer = known or _answer(application, environ)
            if known is None and answer.status.startswith("2"):
                self._keep(call, creation, answer)
            start(answer.status, answer.headers)
            return [answer.body]

        return keeping

    def _keep(self, call: str, creation: tuple[str, str], answer: Answer) -> None:
        if len(answer.body) > REMEMBERED_BYTES:
            return
        with self.guard:
            if call:
                self.calls[call] = answer
            if creation[1]:
                self.creations[creation] = answer
            while len(self.calls) > REMEMBERED_CALLS:
                self.calls.popitem(last=False)


@contextmanager
def calling(urn: str) -> Iterator[None]:
    """Calls in here are about this resource."""
    token = _URN.set(urn)
    try:
        yield
    finally:
        _URN.reset(token)


@contextmanager
def making() -> Iterator[None]:
    """The call in here is the one that makes the resource."""
    token = _MAKES.set(True)
    try:
        yield
    finally:
        _MAKES.reset(token)


def name_calls(client: Any) -> None:
    """Make a boto3 client say for which URN it calls, where it is for one."""

    def named(params: dict[str, Any], model: Any, **_: Any) -> None:
        if urn := _URN.get():
            params["headers"][URN_HEADER] = urn
            if _MAKES.get():
                params["headers"][OPERATION_HEADER] = model.name

    client.meta.events.register("before-call", named)


def _answer(application: Application, environ: Environ) -> Answer:
    """What an application answers, read to its end."""
    got: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        got[:] = [status, headers]
        return lambda _: None

    parts = application(environ, start)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    return Answer(status=got[0], headers=got[1], body=body)


def _variable(header: str) -> str:
    """As WSGI names a header."""
    return f"HTTP_{header.upper().replace('-', '_')}"
