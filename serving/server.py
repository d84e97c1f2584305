"""The inference server: `GET /ping` and `POST /invocations`, as SageMaker asks of a container.

A plain ASGI application on uvicorn: two routes need no framework, and each layer left out is time
per request and per start. The event loop moves bytes; decoding, validation and prediction run in a
few threads behind a bounded queue, so /ping answers while a large batch is predicted, and a full
queue answers 503 at once instead of late. A small body is an exception, where nothing else is
predicted and a few rows take less time than handing them over: it is answered in the loop.

Stages: `Service` turns bytes into a reply and never raises on what a caller sends; `App` is the
ASGI edge; `main` loads the model, binds the port, and on SIGTERM finishes what it has begun, or
ends without it when the time for that is over.
"""

import asyncio
import faulthandler
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving import codecs
from serving.bodies import Bodies, declared_bytes, framed_twice
from serving.model import Model, load
from serving.records import BadRequest, validated
from serving.signature import ArtefactRefused

LOG = logging.getLogger("serving")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """How much one server takes on."""

    load_seconds: float = 100
    """Longest that loading the model may take. Default: SageMaker waits 120 s for /ping."""
    body_bytes: int = 6 * 1024 * 1024
    """Largest body. Default: what SageMaker lets through."""
    records: int = 10_000
    """Most records of one request. Default: some 20 ms of prediction per thousand."""
    requests: int = 64
    """Most requests waiting or predicted. Default: a full queue waits about 0.1 s."""
    bodies: int = 512
    """Most bodies on their way; one more, and the oldest is refused."""
    bodies_bytes: int = 256 * 1024 * 1024
    """What they may come to, by what their headers say."""
    read_seconds: float = 20
    """Longest that a body may take to arrive."""
    drain_seconds: int = 25
    """Longest to finish what is running after SIGTERM. Default: SageMaker kills after 30 s."""
    end_seconds: int = 2
    """After the drain, when the process ends whatever it is doing."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A response, whole."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(error: BadRequest) -> Reply:
    """A refused request: the reason, and the record and field where there is one."""
    body = json.dumps({"error": error.reason, **error.where}).encode()
    return Reply(status=error.status, body=body, headers=error.headers)


NOBODY_WAITS = Reply(status=499, body=b"")
"""In place of an answer that nobody would get."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """From the bytes of an invocation to the bytes of its answer."""

    model: Model
    limits: ServerLimits

    @property
    def is_quick(self) -> bool:
        """Whether a few rows are predicted in less time than another thread takes to begin."""
        return bool(self.model.walks)

    def invoke(
        self, content_type: str, accept: str, body: bytes, left: threading.Event | None = None
    ) -> Reply:
        """Predict, or say what is wrong with the request; nothing once its caller has left."""
        if left is not None and left.is_set():
            return NOBODY_WAITS
        try:
            media = codecs.accepted(accept)
            signature = self.model.signature
            records = codecs.decode(content_type, body, signature, limit=self.limits.records)
            batch = validated(records, signature)
        except BadRequest as error:
            return refusal(error)
        if left is not None and left.is_set():
            return NOBODY_WAITS
        text = codecs.ENCODERS[media](self.model.predict(batch.rows), signature.outputs)
        headers = {}
        if batch.unknown_categories:
            # InvokeEndpoint hands this header, and no other of ours, on to the caller.
            counts = ",".join(f"{name}:{n}" for name, n in batch.unknown_categories.items())
            headers["X-Amzn-SageMaker-Custom-Attributes"] = f"unknown-categories={counts}"
        return Reply(status=200, body=text.encode(), content_type=media, headers=headers)


class App:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._limits = service.limits
        self._requests = 0
        self._bodies = Bodies(most=self._limits.bodies, most_bytes=self._limits.bodies_bytes)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="predict")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._reply(scope, receive)
        except BadRequest as error:
            reply = refusal(error)
        except _Disconnected:
            return
        except Exception:  # the HTTP edge: the caller gets a 500, the log the traceback
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            reply = Reply(status=500, body=b'{"error":"the server failed, see its log"}')
        await _send(reply, send)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        method = ROUTES.get(scope["path"])
        if method is None:
            raise BadRequest(404, f"there is no such path; there are {', '.join(ROUTES)}")
        if scope["method"] != method:
            reason = f"{scope['path']} takes {method}"
            raise BadRequest(405, reason, headers={"Allow": method})
        if method == "GET":
            return Reply(status=200, body=b'{"status":"healthy"}')
        if framed_twice(scope["headers"]):
            reason = "the request must have one of Content-Length and Transfer-Encoding, got both"
            raise BadRequest(400, reason, headers=CLOSE)
        return await self._invoke(scope, receive)

    async def _invoke(self, scope: Scope, receive: Receive) -> Reply:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self._refuse_if_full()
        body = await self._read(headers, receive)
        self._refuse_if_full()
        content_type, accept = headers.get(b"content-type", ""), headers.get(b"accept", "")
        if len(body) <= SMALL_BODY_BYTES and self._service.is_quick and not self._requests:
            return self._service.invoke(content_type, accept, body)
        self._requests += 1
        left = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._service.invoke, content_type, accept, body, left
        )
        leaving = asyncio.create_task(_left(receive))
        either: list[asyncio.Future[Any]] = [work, leaving]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _Disconnected
            return work.result()
        finally:
            left.set()
            work.cancel()  # where it has not begun yet
            leaving.cancel()
            self._requests -= 1

    async def _read(self, headers: Mapping[bytes, str], receive: Receive) -> bytes:
        limit = self._limits.body_bytes
        try:
            async with asyncio.timeout(self._limits.read_seconds) as timeout:
                with self._bodies.one_more(timeout, declared_bytes(headers, limit)):
                    return await _body(receive, limit)
        except TimeoutError:
            raise BadRequest(408, "the body took too long to arrive", headers=CLOSE) from None

    def _refuse_if_full(self) -> None:
        if self._requests >= self._limits.requests:
            raise BadRequest(503, "too many requests at once", headers={"Retry-After": "1"})


SMALL_BODY_BYTES = 4096
"""Some records; read and predicted within a fraction of a millisecond."""

CLOSE = {"Connection": "close"}
"""Header of an answer after which the rest of the connection is not understood."""

ROUTES: Mapping[str, str] = {"/ping": "GET", "/invocations": "POST"}
"""Path -> the one method it takes."""


class _Disconnected(Exception):
    """The caller went away before there was an answer."""


async def _left(receive: Receive) -> None:
    """Wait until the caller has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, limit: int) -> bytes:
    """The whole body. One that is too large is read on and dropped, so that the caller, still
    sending, gets the answer and not a reset connection."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body", False):
            break
    if size > limit:
        raise BadRequest(413, f"the body must be at most {limit} bytes, got {size}")
    return b"".join(chunks)


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"content-length", str(len(reply.body)).encode("latin-1")),
    ]
    for name, value in reply.headers.items():
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1", "replace")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Serve the model under OPT_ML until SIGTERM; 1 if it must not be served."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    folder = Path(environment.get("OPT_ML", "/opt/ml")) / "model"
    limits = ServerLimits()
    faulthandler.dump_traceback_later(limits.load_seconds, exit=True)
    try:
        model = load(folder)
    except ArtefactRefused as error:
        LOG.error("the model is refused: %s", error)
        return 1
    faulthandler.cancel_dump_traceback_later()
    # What is loaded stays, and a request makes no cycles: looking for some took a second per body.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    import uvicorn

    from serving.connections import Draining, Impatient

    config = uvicorn.Config(
        App(Service(model=model, limits=limits)),
        uds=environment.get("BIND_SOCKET"),  # a Unix socket instead of an address
        host=environment.get("BIND_HOST", "127.0.0.1"),
        port=int(environment.get("SAGEMAKER_BIND_TO_PORT", "8080")),
        access_log=False,
        http=Impatient,
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=limits.drain_seconds,
        ws="none",
    )
    # uvicorn drains on SIGTERM and then raises it again: to this, so that a drained exit is 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    server = Draining(config)
    server.end_seconds = limits.drain_seconds + limits.end_seconds
    server.run()
    return 0


if __name__ == "__main__":
    # Trees are small: OpenMP's threads cost more per request than they save. Read at import.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # a prediction that outlived the drain is not waited for
