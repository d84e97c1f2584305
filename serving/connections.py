"""How long a caller may take, and the process to end.

uvicorn bounds the time between two requests of a connection and nothing else, so a caller who sends
half of a head, or reads half of an answer, would hold its connection for ever. Its parser in C,
httptools, halves what a request costs beside the one in Python, and bounds no head by itself.
"""

import asyncio
import faulthandler
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10
"""Longest that a request's line and headers may take to arrive."""

HEAD_BYTES = 64 * 1024
"""Most bytes of a request's line and headers."""

WRITE_SECONDS = 20
"""Longest that an answer may wait for a caller who does not read it."""

TICKS_PER_SECOND = 10
"""How often uvicorn's loop calls on_tick."""


class Impatient(HttpToolsProtocol):
    """uvicorn's connection, which ends where a head does not arrive or an answer is not read."""

    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        self._expect_head()
        if self._head is not None and self._head_bytes > HEAD_BYTES:
            self.send_400_response(f"The request's head must have at most {HEAD_BYTES} bytes.")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._head, self._unread):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def _expect_head(self) -> None:
        """Start the clock of a head that has not arrived yet, stop that of one that has."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._head is not None:
                self._head.cancel()
            self._head, self._head_bytes = None, 0
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)


class Draining(uvicorn.Server):
    """uvicorn's server, which ends some time after it was told to, whatever it is doing.

    One long call in C can keep the interpreter from everybody, also from the handler of a signal.
    So a thread of C ends a process whose event loop has not turned for as long.
    """

    end_seconds: float = 60
    """From the signal, or the last turn of the loop, to the end."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._end_later()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SECOND == 0 and not self.should_exit:
            self._end_later()
        return await super().on_tick(counter)

    def _end_later(self) -> None:
        faulthandler.dump_traceback_later(self.end_seconds, exit=True)
