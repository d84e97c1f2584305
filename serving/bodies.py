"""The bodies of requests that are on their way: how they are framed, and how many may be.

An honest body is there within milliseconds. One that is not must neither be held for long nor keep
others out.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class Bodies:
    """The bodies that are on their way: where there is no room, the one begun first gives way.

    The oldest is the one that stalls. To refuse the newcomer instead would let a few stalled
    callers shut out everybody.
    """

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._held: dict[asyncio.Timeout, int] = {}

    @contextmanager
    def one_more(self, timeout: asyncio.Timeout, size_bytes: int) -> Iterator[None]:
        """Make room for a body of at most this size, which has until the timeout to arrive."""
        while self._held and (
            len(self._held) >= self._most
            or sum(self._held.values()) + size_bytes > self._most_bytes
        ):
            oldest = next(iter(self._held))
            del self._held[oldest]
            if not oldest.expired():
                oldest.reschedule(0)
        self._held[timeout] = size_bytes
        try:
            yield
        finally:
            self._held.pop(timeout, None)


def framed_twice(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request says in two ways how long it is: a proxy in between may believe the other
    one, and take the rest for a request of its own (RFC 9112, 6.1 and 11.2)."""
    names = {name for name, _ in headers}
    return {b"content-length", b"transfer-encoding"} <= names


def declared_bytes(headers: Mapping[bytes, str], limit: int) -> int:
    """How much of a body has to be held at most."""
    text = headers.get(b"content-length", "")
    return min(int(text), limit) if text.isdecimal() else limit
