"""Callers that stall, leave or lie: they cost their own connection, and nobody else anything."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving import connections
from serving.model import load
from serving.server import App, ServerLimits, Service
from tests.drills.serving import drill
from tests.kits.requests import requests
from tests.kits.serving import JSON, RECORD
from tests.kits.serving_process import Server, start, stop

BODY = json.dumps(RECORD).encode()


@pytest.fixture(scope="module")
def service(opt_ml: Path) -> Service:
    return Service(model=load(opt_ml / "model"), limits=ServerLimits())


def sent(server: Server, raw: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    made.sendall(raw)
    return made


def answered(server: Server, raw: bytes) -> bytes:
    """Everything that comes back until the connection ends."""
    with contextlib.closing(sent(server, raw)) as asking:
        return b"".join(iter(lambda: asking.recv(65536), b""))


def test_generated_requests_are_judged_as_an_honest_reader_would(server: Server) -> None:
    """The same as the drill, with fewer."""
    tally = drill(requests(seed=7, count=2000), server.port)
    assert tally.wrong == []
    assert min(tally.statuses[200], tally.statuses[400]) > 300


@pytest.mark.parametrize("size", [110_000, 440_000])
def test_a_field_given_twice_is_found_in_one_pass(service: Service, size: int) -> None:
    """To look each name up in all others took minutes, which no signal could end."""
    body = "{" + ",".join(f'"{number}":0' for number in range(size)) + f',"{size - 1}":1}}'
    begun = time.perf_counter()
    reply = service.invoke(JSON, "", body.encode())
    assert f"'{size - 1}' is given twice".encode() in reply.body
    assert time.perf_counter() - begun < 5


FRAMED_TWICE = (
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /ping HTTP/1.1\r\n\r\n"
)
POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"
HEADS = {
    "framed twice": FRAMED_TWICE,
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "endless length": POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "no chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "space in a name": POST + b"Content-Length : 1\r\n\r\na",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "endless head": b"GET /ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000,
    "endless headers": b"GET /ping HTTP/1.1\r\n" + b"X: a\r\n" * 20_000,
    "endless blank lines": b"\r\n" * 50_000,
    "endless path": b"GET /" + b"a" * 100_000,
}


@pytest.mark.parametrize("case", HEADS)
def test_a_request_whose_length_is_in_doubt_is_refused_and_its_connection_ends(
    server: Server, case: str
) -> None:
    answer = answered(server, HEADS[case])
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1, "the rest is no request"
    assert server.send("GET", "/ping").status == 200


def test_stalled_bodies_do_not_shut_out_others(server: Server) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 6291456\r\n\r\n{"
    stalled = [sent(server, head) for _ in range(200)]
    try:
        assert {server.invoke(RECORD).status for _ in range(20)} == {200}
        assert server.send("GET", "/ping").status == 200
        first = stalled[0].recv(65536)
        assert first.startswith(b"HTTP/1.1 408 "), "the oldest gave way"
    finally:
        for one in stalled:
            one.close()


@pytest.fixture
def hurried(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """The address of a server that waits a third of a second for a head."""
    import uvicorn

    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(
            App(service),
            http=connections.Impatient,
            lifespan="off",
            ws="none",
            log_level="critical",
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            running.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("raw", [b"", b"POST /invocations HTTP/1.1\r\nHost:"])
def test_a_head_that_does_not_arrive_ends(hurried: tuple[str, int], raw: bytes) -> None:
    began = time.monotonic()
    with socket.create_connection(hurried, timeout=10) as asking:
        asking.sendall(raw)
        with contextlib.suppress(ConnectionResetError):
            assert asking.recv(1) == b""
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("drop", [b"\r\n", b"GET /ping HTTP/1.1\r\nHost: x\r\nX: ", b"x"])
def test_a_caller_who_was_answered_once_may_not_dawdle_either(
    hurried: tuple[str, int], drop: bytes
) -> None:
    """Blank lines before a request are nothing to a parser, and end uvicorn's own clock."""
    with socket.create_connection(hurried, timeout=10) as asking:
        asking.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asking.recv(65536).startswith(b"HTTP/1.1 200 ")
        ended, end = False, time.monotonic() + 5
        asking.settimeout(0.1)
        while not ended and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                try:
                    asking.sendall(drop[:1])
                    drop = drop[1:] or drop
                    ended = asking.recv(65536) == b""
                except (ConnectionResetError, BrokenPipeError):
                    ended = True
        assert ended


class Slow:
    """A model that waits to be told, and counts."""

    def __init__(self, service: Service) -> None:
        self.signature = service.model.signature
        self.walks = ()
        self.gate = threading.Event()
        self.predicted = 0

    def predict(self, rows: Any) -> list[list[float]]:
        self.gate.wait(20)
        self.predicted += len(rows)
        return [[0.5]] * len(rows)


def test_the_work_of_callers_who_left_is_dropped(service: Service) -> None:
    model = Slow(service)
    app = App(replace(service, model=model))  # type: ignore[arg-type]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "headers": [(b"content-type", b"application/json")],
    }

    async def call(leaves: asyncio.Event, sent: list[Any]) -> None:
        messages = [{"type": "http.request", "body": BODY, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)

    async def scenario() -> list[Any]:
        leaves, stays = asyncio.Event(), asyncio.Event()
        lost: list[Any] = []
        kept: list[Any] = []
        gone = [asyncio.create_task(call(leaves, lost)) for _ in range(60)]
        await asyncio.sleep(0.1)
        leaves.set()
        await asyncio.gather(*gone)
        assert lost == []
        staying = [asyncio.create_task(call(stays, kept)) for _ in range(3)]
        await asyncio.sleep(0.1)
        model.gate.set()
        await asyncio.gather(*staying)
        return kept

    kept = asyncio.run(scenario())
    assert [message["status"] for message in kept if "status" in message] == [200] * 3
    assert model.predicted < 60 / 2, "only what had begun was finished"


BUSY = """
import dataclasses, signal, sys
from serving import server
short = dataclasses.replace(server.ServerLimits(), drain_seconds=1, end_seconds=1)
server.ServerLimits = lambda: short
def predict(self, rows):
    if sum(row[1] for row in rows) == 666:
        sum(range(10 ** 12))  # in C, without letting go of the interpreter
    return [[0.5]] * len(rows)
server.Model.predict = predict
sys.exit(server.main())
"""


def test_a_server_that_is_kept_busy_ends_after_its_drain(opt_ml: Path) -> None:
    busy = start(opt_ml, "-c", BUSY)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", busy.port, timeout=10)
        body = json.dumps(RECORD | {"distance": 666})
        connection.request("POST", "/invocations", body, {"Content-Type": JSON})
        time.sleep(0.3)
        busy.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        busy.process.wait(20)
        assert time.monotonic() - begun < 10
        connection.close()
    finally:
        stop(busy)
