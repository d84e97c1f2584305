"""How the local cloud's endpoint keeps connections, and when it must not."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from stacks.local.aws.gate import ARRIVED
from stacks.local.daemon.http import Server
from stacks.local.runtime import keys
from tests.kits.local_cloud import BUCKET, Cloud

Serve = Callable[..., tuple[str, int]]


def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """Reads the body, but of /unread, and answers as the path says."""
    path = environ["PATH_INFO"]
    body = b""
    if path != "/unread":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ[ARRIVED]()
    if path == "/fails":
        raise RuntimeError("a fault")
    lengths = {"/chunks": [], "/short": [("Content-Length", "9")]}
    headers = lengths.get(path, [("Content-Length", str(len(body) + 3))])
    start("204 No Content" if path == "/none" else "200 OK", headers)
    return [b"ab", b"", b"c"] if path == "/chunks" else [] if path == "/none" else [b"it:", body]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with so many threads; it ends with the test."""
    with ExitStack() as stack:

        def start(threads: int = 8) -> tuple[str, int]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            server = Server(listener, application, threads)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            at: tuple[str, int] = listener.getsockname()
            return at

        yield start


def until_closed(at: tuple[str, int], raw: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    with socket.create_connection(at, timeout=60) as wire:
        wire.sendall(raw)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def test_a_connection_answers_one_request_after_the_other(serve: Serve) -> None:
    connection = http.client.HTTPConnection(*serve(), timeout=60)
    seen = []
    for number in range(3):
        connection.request("POST", "/", f"{number}")
        seen.append((connection.getresponse().read(), connection.sock.getsockname()))
    assert [body for body, _ in seen] == [b"it:0", b"it:1", b"it:2"]
    assert len({address for _, address in seen}) == 1
    for path, expected in (("/chunks", b"abc"), ("/none", b""), ("/", b"it:last")):
        connection.request("PUT", path, "last")
        assert connection.getresponse().read() == expected
    assert connection.sock.getsockname() == seen[0][1]
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.close()


REQUEST = b"%b %b HTTP/1.%d\r\nHost: a\r\nContent-Length: 5\r\n%b\r\nhello"
SECOND = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (REQUEST % (b"POST", b"/unread", 1, b""), "not read to its end"),
        (REQUEST % (b"POST", b"/fails", 1, b""), "a fault"),
        (REQUEST % (b"POST", b"/short", 1, b""), "fewer bytes than it said"),
        (REQUEST % (b"POST", b"/", 1, b"Connection: close\r\n"), "asked to close"),
        (REQUEST % (b"POST", b"/", 0, b""), "HTTP/1.0"),
        (REQUEST % (b"POST", b"/", 1, b"Transfer-Encoding: gzip\r\n"), "unknown end"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunks"),
    ],
)
def test_nothing_that_follows_is_read_where_a_request_s_end_is_not_known(
    serve: Serve, first: bytes, what: str
) -> None:
    answers = until_closed(serve(), first + SECOND)
    assert answers.count(b"HTTP/1.1 ") == 1, what


def test_what_follows_a_whole_request_is_the_next_one(serve: Serve) -> None:
    answers = until_closed(serve(), REQUEST % (b"POST", b"/", 1, b"") + SECOND)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith(b"it:")


def test_an_old_client_gets_no_chunks(serve: Serve) -> None:
    answer = until_closed(serve(), b"GET /chunks HTTP/1.0\r\n\r\n")
    assert b"Transfer-Encoding" not in answer and answer.endswith(b"\r\n\r\nabc")


def test_a_fault_is_a_500(serve: Serve) -> None:
    connection = http.client.HTTPConnection(*serve(), timeout=60)
    connection.request("GET", "/fails")
    assert connection.getresponse().status == 500
    connection.close()


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"GET / HTTP/3.0\r\n\r\n", b"505 Invalid HTTP version (3.0)\n"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414 Request-URI Too Long\n"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", b"431 Line too long\n"),
        (b"<x y z\r\n\r\n", b"400 Bad request version ('z')\n"),
    ],
    ids=["version", "address", "header", "no request"],
)
def test_what_is_no_request_gets_a_line_and_no_page(serve: Serve, raw: bytes, told: bytes) -> None:
    answer = until_closed(serve(), raw)
    assert answer.endswith(told)
    assert b"<" not in answer


def test_a_client_that_asks_first_is_told_to_go_on(serve: Serve) -> None:
    with socket.create_connection(serve(), timeout=60) as wire:
        more = b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n"
        wire.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")
        assert wire.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"on")
        assert b"".join(iter(lambda: wire.recv(65536), b"")).endswith(b"it:on")


def test_a_connection_that_waits_gives_way(serve: Serve) -> None:
    at = serve(threads=2)
    with ExitStack() as held:
        for _ in range(6):
            connection = http.client.HTTPConnection(*at, timeout=60)
            held.callback(connection.close)
            connection.request("POST", "/", "x")
            assert connection.getresponse().read() == b"it:x"


def test_what_arrow_sends_in_chunks_arrives_whole(cloud: Cloud) -> None:
    from pyarrow import fs

    own = keys.load(cloud.home)
    place = fs.S3FileSystem(
        endpoint_override=cloud.info.endpoint_url.partition("://")[2],
        scheme="http",
        region="us-east-1",
        access_key=own.access_key_id,
        secret_key=own.secret_access_key,
    )
    for size in (5, 11_000_000):
        with place.open_output_stream(f"{BUCKET}/arrow") as stream:
            stream.write(b"z" * size)
        body = cloud.client("s3").get_object(Bucket=BUCKET, Key="arrow")["Body"].read()
        assert body == b"z" * size
