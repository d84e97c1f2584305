"""The HTTP server of the AWS endpoint: so many threads, and none for ever.

One thread works on one connection. Where all are taken, the connection that has been sending its
request for longest gives way, so that a few stalled callers do not shut out everybody.
"""

import contextlib
import socket
import threading
import time
from typing import Any

from moto.server import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from stacks.local.aws.gate import ARRIVED

THREADS = 256
SILENT_SECONDS = 20
"""Longest that a caller may send nothing, or read nothing."""

ARRIVAL_SECONDS = 120
"""Longest that a whole request may take to arrive: 5 GB on loopback do."""

WAIT_SECONDS = 0.5
"""How long a connection waits for a thread before it is told to come again."""

BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"


class Handler(MotoRequestHandler):  # type: ignore[misc]
    """One connection. They are not kept alive: werkzeug's server cannot do it safely."""

    timeout = SILENT_SECONDS
    server: "Server"

    def make_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().make_environ()
        environ[ARRIVED] = lambda: self.server.arrived(self.connection)
        return environ

    def log_request(self, *_: Any) -> None:
        """One line per request would bury everything else."""


class Server(ThreadedWSGIServer):  # type: ignore[misc]
    """As many threads as may be, for requests in full before those on their way."""

    def __init__(self, listener: socket.socket, application: Any, threads: int = THREADS) -> None:
        host, port = listener.getsockname()
        self._slots = threading.Semaphore(threads)
        self._arriving: dict[socket.socket, float] = {}
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
                if self._arriving:
                    self._end(next(iter(self._arriving)))
            if not self._slots.acquire(timeout=WAIT_SECONDS):
                self._refuse(request)
                return
        with self._lock:
            self._arriving[request] = time.monotonic()
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

    def arrived(self, request: socket.socket) -> None:
        """Its whole request is there: from here on it takes what the service takes."""
        with self._lock:
            self._arriving.pop(request, None)

    def _done(self, request: socket.socket) -> None:
        self.arrived(request)
        self._slots.release()

    def _refuse(self, request: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request.settimeout(1)
            request.sendall(BUSY)
        self.shutdown_request(request)

    def _end(self, request: socket.socket) -> None:
        """Wake the thread that reads from it; the thread closes it."""
        self._arriving.pop(request, None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)
