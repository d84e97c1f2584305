"""When nobody changes anything: every request that may change something passes here.

A snapshot is taken in such a moment. Requests that come meanwhile wait for it, for no longer than
`HOLD_SECONDS`; where there is no such moment, it is taken without one in the end (`keeper.py`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stacks.local.aws.bearer_tokens import is_route
from stacks.local.aws.iam import mlflow
from stacks.local.aws.protocols import BODY, signed_for

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

HOLD_SECONDS = 0.05

READS = re.compile(
    "BatchGet|Describe|Estimate|Get|Head|List|Lookup|Preview|Query|Scan|Search|Select|Simulate|Test"
)
"""How the operations begin that change nothing."""

MAKES_SESSIONS = "sts"
"""A service whose operations make keys, whatever they are called."""

ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
INVOCATION = re.compile(r"/endpoints/[^/]+/(async-)?invocations(-response-stream)?")


def changes(environ: Environ) -> bool:
    """Whether a request may change what is kept; of what cannot be told it may."""
    if is_route(environ):
        return False
    service = signed_for(environ)
    if mlflow.arn_of(environ):  # what MLflow holds lies in its own database
        return False
    if INVOCATION.fullmatch(environ["PATH_INFO"]) and service == "sagemaker":
        return False
    if service == MAKES_SESSIONS:
        return True
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    action = ACTION.search(environ.get(BODY, b""))
    operation = target or (action[1].decode() if action else "")
    if operation:
        return READS.match(operation) is None
    return environ["REQUEST_METHOD"] not in ("GET", "HEAD")


class Quiet:
    """Counts changes, and keeps a file in the home while there are some that nobody wrote down."""

    def __init__(self, flag: Path) -> None:
        self.changes = 0
        self._flag = flag
        self._flagged = False
        self._under_way = 0
        self._closed = False
        self._moved = threading.Condition()

    def around(self, application: Application) -> Application:
        """The application, whose changes are counted and wait while a snapshot is taken."""

        def watched(environ: Environ, start: Start) -> Iterable[bytes]:
            if not changes(environ):
                return application(environ, start)
            with self.changing():
                return application(environ, start)

        return watched

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Something changes in here; waits while a snapshot is taken."""
        with self.working():
            self.note()
            try:
                yield
            finally:
                self.note()

    @contextmanager
    def working(self) -> Iterator[None]:
        """What changes in here, if anything, belongs together; waits while a snapshot is taken."""
        with self._moved:
            self._moved.wait_for(lambda: not self._closed, 2 * HOLD_SECONDS)
            self._under_way += 1
        try:
            yield
        finally:
            with self._moved:
                self._under_way -= 1
                self._moved.notify_all()

    def note(self) -> None:
        """Something changed."""
        with self._moved:
            self.changes += 1
            if not self._flagged:
                self._flagged = True
                with suppress(OSError):  # a full disk must not refuse what fits into memory
                    self._flag.touch(mode=0o600)

    @contextmanager
    def moment(self) -> Iterator[bool]:
        """In here nobody changes anything; False: somebody does."""
        with self._moved:
            self._closed = True
            try:
                yield self._moved.wait_for(lambda: self._under_way == 0, HOLD_SECONDS)
            finally:
                self._closed = False
                self._moved.notify_all()

    def written_down(self, changes: int) -> None:
        """A snapshot holds what there was after so many changes."""
        with self._moved:
            if self.changes == changes:
                self._flagged = False
                self._flag.unlink(missing_ok=True)
