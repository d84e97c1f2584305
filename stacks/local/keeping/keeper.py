"""Writes a snapshot when something has changed, about once a second, beside the cloud's work.

The process is forked in a moment in which nobody changes anything (`quiet.py`): the copy, whose
memory stays as it is, writes the objects down while the cloud goes on. So a request waits for the
fork alone, however much there is; Redis saves in the same way (BGSAVE). The copy touches Python's
objects and one file: what other threads held, such as the locks of libraries, is held for ever in
it. One that does not end in time is killed, and the next one tries.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from stacks.local.keeping.bodies import Bodies
from stacks.local.keeping.forms import CannotKeep
from stacks.local.keeping.journal import Journal
from stacks.local.keeping.pickling import Dumped, dump
from stacks.local.keeping.places import Place, moto_places, objects
from stacks.local.keeping.quiet import Quiet
from stacks.local.keeping.snapshots import Snapshots

LOOK_SECONDS = 0.1
STILL_SECONDS = 0.3
LATEST_SECONDS = 1.0
"""A snapshot is due when nothing has changed for the first, or something for the second."""

SHARE = 0.1
"""Most of a processor that the copies of a large cloud use: the next one waits accordingly."""

PATIENCE_SECONDS = 3.0
"""After so long without a quiet moment, in which nobody changes anything, any moment will do."""

AGAIN_SECONDS = 10.0
COPY_SECONDS = 60.0
LOCK_SECONDS = 0.05
NICE = 10
DEPTH = 5_000
"""How deep objects may refer to each other: a thread's stack has room for more."""

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Keeper:
    """What keeps the data of a running cloud."""

    snapshots: Snapshots
    quiet: Quiet
    cloud_id: str
    places: Mapping[str, Place]
    """Of ours; those of moto are looked up each time."""

    locks: Sequence[Any]
    """Held while the process is forked, so that what they guard is whole."""

    stamp: Callable[[], object]
    """Another one when something changed that is no request: a job ended, an event was told."""

    bodies: Bodies
    journal: Journal
    written: int = 0
    """Snapshots so far."""

    held_seconds: float = 0.0
    """Longest that one kept requests waiting."""

    copy_seconds: float = 0.0
    """Processor seconds that the copies used."""

    left_out: Mapping[str, str] = field(default_factory=dict)
    """What of moto the last one lacks, and why."""

    _seen: object = None
    _written: int = 0
    _journal: int = 0
    _changes: int = 0
    _changed_at: float = 0.0
    _first_at: float = 0.0
    _not_before: float = 0.0

    def run(self, stop: threading.Event) -> None:
        """Until the cloud stops; whoever stops it calls `finish`."""
        self._seen = self.stamp()
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look(time.monotonic())
            except Exception:
                log.exception("no snapshot was written; another one is tried in a while")
                self._not_before = time.monotonic() + AGAIN_SECONDS

    def look(self, now: float) -> None:
        """Write a snapshot where one is due."""
        self._note()
        if self.quiet.changes == self._written:
            self._first_at = 0.0
            return
        if self.quiet.changes != self._changes:
            self._changes, self._changed_at = self.quiet.changes, now
        self._first_at = self._first_at or now
        waited, still = now - self._first_at, now - self._changed_at
        if now >= self._not_before and (still >= STILL_SECONDS or waited >= LATEST_SECONDS):
            self.save(forced=waited >= PATIENCE_SECONDS)

    def finish(self) -> None:
        """The last snapshot, at a regular end."""
        self._note()
        if self.quiet.changes != self._written:
            self.save(forced=True)
        log.info(
            "%d snapshots: requests waited at most %.0f ms, copies used %.1f processor seconds",
            self.written, 1000 * self.held_seconds, self.copy_seconds,
        )  # fmt: skip

    def save(self, *, forced: bool) -> bool:
        """Write a snapshot; False: there was no quiet moment, and `forced` did not ask for any."""
        draft = self.snapshots.folder / f".draft.{os.getpid()}"
        with draft.open("wb+") as out:
            draft.unlink()
            forked = self._forked(out.fileno(), forced=forced)
            if forked is None:
                return False
            copy, changes, journal = forked
            used_seconds = _wait(copy)
            out.seek(0)
            head, content = json.loads(out.readline()), out.read()
        if "problem" in head:
            raise CannotKeep(head["problem"])
        dumped = Dumped(**head)
        self.snapshots.write(self.cloud_id, content, dumped, journal=journal)
        self.journal.forget(self._journal)  # of the two snapshots that are kept, the older one's
        self._journal = journal
        for name in {*dumped.left_out} - {*self.left_out}:
            log.warning("%s is not kept: %s", name, dumped.left_out[name])
        self.left_out = dumped.left_out
        self.written, self.copy_seconds = self.written + 1, self.copy_seconds + used_seconds
        self._written, self._first_at = changes, 0.0
        self.quiet.written_down(changes)
        self._not_before = time.monotonic() + used_seconds / SHARE
        return True

    def _forked(self, out: int, *, forced: bool) -> tuple[int, int, int] | None:
        """The copy that writes into an open file, how much had changed, the journal's next file.

        None: not now. Large bodies are written before, so that nobody waits for the disk.
        """
        for key in objects():
            self.bodies.write(key)
        with self.quiet.moment() as quiet, self._held() as whole:
            began = time.monotonic()
            if not forced and not (quiet and whole and all(map(self.bodies.has, objects()))):
                return None
            places = {**moto_places(), **self.places}
            journal = self.journal.rotate()
            copy = os.fork()
            if copy == 0:
                _write_down(places, self.bodies, out)
            self.held_seconds = max(self.held_seconds, time.monotonic() - began)
            return copy, self.quiet.changes, journal

    def _note(self) -> None:
        seen = self.stamp()
        if seen != self._seen:
            self._seen = seen
            self.quiet.note()

    @contextmanager
    def _held(self) -> Iterator[bool]:
        """The locks, as far as they can be had; whether all could."""
        with ExitStack() as stack:
            whole = True
            for lock in self.locks:
                if lock.acquire(timeout=LOCK_SECONDS):
                    stack.callback(lock.release)
                else:
                    whole = False
            yield whole


def _write_down(places: Mapping[str, Place], bodies: Bodies, out: int) -> NoReturn:
    """What the copy does; it never comes back."""
    try:
        os.nice(NICE)  # whoever asks the cloud goes first
        gc.disable()  # nothing is to be finalized here
        sys.setrecursionlimit(DEPTH)
        os.closerange(3, out)
        os.closerange(out + 1, os.sysconf("SC_OPEN_MAX"))  # the cloud's port and lock are its own
        content = io.BytesIO()
        try:
            head = asdict(dump(places, bodies, content))
        except CannotKeep as error:
            head = {"problem": f"{error}"}
        left = memoryview(json.dumps(head).encode() + b"\n" + content.getbuffer())
        while left:
            left = left[os.write(out, left) :]
        os._exit(0)
    finally:
        os._exit(1)


def _wait(copy: int) -> float:
    """Until the copy has ended well: the processor seconds that it used; else CannotKeep."""
    deadline = time.monotonic() + COPY_SECONDS
    while True:
        pid, status, used = os.wait4(copy, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)
            raise CannotKeep(f"the copy of the process did not end within {COPY_SECONDS:.0f} s")
        time.sleep(0.005)
    if status:
        raise CannotKeep(f"the copy of the process ended with status {status}")
    return used.ru_utime + used.ru_stime
