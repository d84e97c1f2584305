"""What containers print, in the log groups of CloudWatch where SageMaker writes it.

The programs write files; once a second, and when a job is over, what is new in them becomes events
of moto's log streams. Group and stream are called as the developer guide says ("CloudWatch Logs for
Amazon SageMaker AI"), so that a client that prints a job's log finds it.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENT_BYTES = 1_000_000
"""A longer line is cut (CloudWatch Logs quotas, event size: 1 MB)."""

CHUNK_BYTES = 1_000_000
STREAM_BYTES = 64_000_000
"""moto keeps streams in memory: of a longer log the rest stays in its file, and the stream says
where."""


LINE_OVERHEAD_BYTES = 250
"""What an event takes beside its text: a stream of short lines took thirty times its bytes."""


@dataclass
class Followed:
    """A file, and how far it has been read into its stream."""

    path: Path
    group: str
    stream: str
    offset: int
    alive: Callable[[], bool]
    """Whether anything more will be written."""

    rest: bytes = b""
    """The begin of a line whose end is not written yet."""

    sent: int = 0
    """Bytes of memory that its events take, about."""


class ContainerLogs:
    """The files that are followed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, Followed] = {}

    def follow(
        self,
        path: Path,
        group: str,
        stream: str,
        *,
        offset: int = 0,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """Send what is written to a file, which is there or will be, behind an offset."""
        followed = Followed(path=path, group=group, stream=stream, offset=offset, alive=alive)
        with self._lock:
            self._files[path] = followed

    def sent(self) -> int:
        """Memory that the events of the files that are followed take, about."""
        with self._lock:
            return sum(followed.sent for followed in self._files.values())

    def flush(self, logs: Any) -> None:
        """Send what is new in every file to moto's logs; leave those that are over."""
        with self._lock:
            over = [path for path, followed in self._files.items() if not followed.alive()]
            for path, followed in self._files.items():
                _send(logs, followed, last=path in over)
            for path in over:
                del self._files[path]

    def end(self, path: Path, logs: Any) -> None:
        """Send the last of a file, and follow it no longer."""
        with self._lock:
            followed = self._files.pop(path, None)
            if followed is not None:
                _send(logs, followed, last=True)


def job_stream(name: str, arn: str, host: str) -> str:
    """Stream of one container of a job."""
    return f"{name}/{host}-{_number(arn) % 10_000_000_000}"


def server_stream(variant: str, log: Path) -> str:
    """Stream of a serving process: its variant, and an instance."""
    return f"{variant}/i-{_number(str(log)) % 16**17:017x}"


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest())


def _send(logs: Any, followed: Followed, *, last: bool = False) -> None:
    while chunk := _read(followed):
        *lines, followed.rest = (followed.rest + chunk).split(b"\n")
        _put(logs, followed, lines)
    if last and followed.rest:
        _put(logs, followed, [followed.rest])
        followed.rest = b""


def _read(followed: Followed) -> bytes:
    if followed.sent >= STREAM_BYTES:
        return b""
    try:
        with followed.path.open("rb") as stream:
            stream.seek(followed.offset)
            chunk = stream.read(CHUNK_BYTES)
    except OSError:  # not written yet, or gone with its job
        return b""
    followed.offset += len(chunk)
    followed.sent += len(chunk) + LINE_OVERHEAD_BYTES * chunk.count(b"\n")
    if followed.sent >= STREAM_BYTES:
        chunk += f"\nthe rest is in {followed.path}\n".encode()
    return chunk


def _put(logs: Any, followed: Followed, lines: list[bytes]) -> None:
    from stacks.local.aws.logs import moto_logs  # its metric filters, also if nobody asked it yet

    moto_logs.install()
    now = int(time.time() * 1000)
    events = [
        {"timestamp": now, "message": line[:EVENT_BYTES].decode(errors="replace")}
        for line in lines
        if line.strip()
    ]
    if not events:
        return
    logs.ensure_log_group(followed.group)
    if followed.stream not in logs.groups[followed.group].streams:
        logs.create_log_stream(followed.group, followed.stream)
    logs.put_log_events(followed.group, followed.stream, events)
