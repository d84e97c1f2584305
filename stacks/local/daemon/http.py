"""The HTTP server of the AWS endpoint: so many threads, and none for ever.

One thread works on one connection, which is kept for further requests (RFC 9112, 9.3): to open one
for each costs more than most answers. Where all threads are taken, a connection that waits for its
next request gives way, else the one that has been sending its request for longest, so that a few
stalled callers do not shut out everybody.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from moto.server import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from stacks.local.aws.gate import ARRIVED

THREADS = 256
SILENT_SECONDS = 20
"""Longest that a caller may send nothing, or read nothing."""

ARRIVAL_SECONDS = 120
"""Longest that a whole request may take to arrive: 5 GB on loopback do."""

LINGER_SECONDS = 0.3
"""How long a refused caller may pause while it sends on what nobody reads, to hear the refusal."""

WAIT_SECONDS = 0.5
"""How long a connection waits for a thread before it is told to come again."""

BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"


log = logging.getLogger(__name__)


@dataclass
class Answer:
    """What the application said before its body, and how much of the body went out."""

    status: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    begun: bool = False
    chunked: bool = False
    sent: int = 0

    def start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        """WSGI's start_response."""
        self.status, self.headers = status, tuple(headers)

    @property
    def bare(self) -> bool:
        """Whether a body must not follow (RFC 9112, 6.3)."""
        return self.status[:3] in ("204", "304") or self.status.startswith("1")

    def header(self, wanted: str) -> str | None:
        return next((value for name, value in self.headers if name.lower() == wanted), None)


class Handler(MotoRequestHandler):  # type: ignore[misc]
    """One connection. werkzeug's handler closes it after each request; this one reads to the end.

    It is closed where a request was not read in full, or says where it ends by chunks.
    """

    protocol_version = "HTTP/1.1"
    timeout = SILENT_SECONDS
    wbufsize = -1
    """Head and body of a small answer leave in one piece."""

    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain;charset=utf-8"
    """What is no request gets a line, not a page."""

    server: "Server"
    whole = False
    """Whether the request under way was read to its end."""

    def parse_request(self) -> bool:
        self.server.arrives(self.connection)
        self.whole = False
        return bool(super().parse_request())

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return bool(going_on)

    def make_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().make_environ()
        environ[ARRIVED] = self._arrived
        return environ

    def _arrived(self) -> None:
        self.whole = "Transfer-Encoding" not in self.headers
        self.server.arrived(self.connection)

    def run_wsgi(self) -> None:
        """Ask the application, send its answer, and wait for the next request or end."""
        answer = Answer()
        parts: Iterable[bytes] = ()
        try:
            parts = self.server.app(self.make_environ(), answer.start)
            for part in parts:
                self._send(answer, part)
            self._send(answer, b"")
        except OSError:
            self.close_connection = True  # whoever asked is gone
            raise
        except Exception:
            log.exception("%s %s", self.command, self.path)
            self.close_connection = True
            if not answer.begun:
                answer.start("500 Internal Server Error", [("Content-Length", "0")])
                self._send(answer, b"")
        finally:
            if hasattr(parts, "close"):
                parts.close()
        self._end(answer)

    def _send(self, answer: Answer, part: bytes) -> None:
        if not answer.begun:
            self._begin(answer)
        if part and not (answer.bare or self.command == "HEAD"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if answer.chunked else part)
            answer.sent += len(part)
        self.wfile.flush()

    def _begin(self, answer: Answer) -> None:
        answer.begun = True
        code, _, reason = answer.status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in answer.headers:
            if name.lower() != "connection":
                self.send_header(name, value)
        ends = answer.bare or self.command == "HEAD" or answer.header("content-length") is not None
        if not ends and self.request_version == "HTTP/1.1":
            answer.chunked = True
            self.send_header("Transfer-Encoding", "chunked")
        ends = ends or answer.chunked
        if not (self.whole and ends) or answer.header("connection") == "close":
            self.close_connection = True
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()

    def _end(self, answer: Answer) -> None:
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        length = answer.header("content-length")
        bare = answer.bare or self.command == "HEAD"
        if length is not None and not bare and int(length) != answer.sent:
            self.close_connection = True  # where the next answer begins cannot be told any more
        if not self.close_connection:
            self.server.waits(self.connection)
        elif not self.whole:
            self._linger()

    def _linger(self) -> None:
        """Read on a while: who is still sending hears the answer in place of a reset."""
        self.connection.settimeout(LINGER_SECONDS)
        with contextlib.suppress(OSError):
            while self.connection.recv(1 << 20):
                pass

    def log_error(self, text: str, *values: Any) -> None:
        """A caller who says nothing for a while is no error."""
        if not text.startswith("Request timed out"):
            super().log_error(text, *values)

    def log_request(self, *_: Any) -> None:
        """One line per request would bury everything else."""


class Server(ThreadedWSGIServer):  # type: ignore[misc]
    """As many threads as may be, for requests in full before those on their way."""

    def __init__(self, listener: socket.socket, application: Any, threads: int = THREADS) -> None:
        host, port = listener.getsockname()
        self._slots = threading.Semaphore(threads)
        self._arriving: dict[socket.socket, float] = {}
        self._waiting: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        super().__init__(host, port, application, Handler, fd=listener.fileno())

    def service_actions(self) -> None:
        """Called about twice a second: end what has been arriving for too long."""
        super().service_actions()
        late = time.monotonic() - ARRIVAL_SECONDS
        with self._lock:
            for one in [one for one, begun in self._arriving.items() if begun < late]:
                self._end(one)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            with self._lock:
                found = self._waiting or self._arriving
                if found:
                    self._end(next(iter(found)))
            if not self._slots.acquire(timeout=WAIT_SECONDS):
                self._refuse(request)
                return
        self.arrives(request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._done(request)
            self._refuse(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._done(request)

    def arrives(self, request: socket.socket) -> None:
        """Its request is on its way."""
        with self._lock:
            self._waiting.pop(request, None)
            self._arriving.setdefault(request, time.monotonic())

    def waits(self, request: socket.socket) -> None:
        """It was answered, and may ask again."""
        with self._lock:
            self._waiting[request] = None

    def arrived(self, request: socket.socket) -> None:
        """Its whole request is there: from here on it takes what the service takes."""
        with self._lock:
            self._arriving.pop(request, None)

    def _done(self, request: socket.socket) -> None:
        with self._lock:
            self._waiting.pop(request, None)
            self._arriving.pop(request, None)
        self._slots.release()

    def _refuse(self, request: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request.settimeout(1)
            request.sendall(BUSY)
        self.shutdown_request(request)

    def _end(self, request: socket.socket) -> None:
        """Wake the thread that reads from it; the thread closes it."""
        self._waiting.pop(request, None)
        self._arriving.pop(request, None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)
