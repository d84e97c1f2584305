"""Who may change a stack of `local` now: one command line at a time, by a lock of the kernel.

The kernel frees the lock when its holder ends, however it ends, so a lease needs neither a clock
nor a process that grants it (Linux, flock). What is written in the file only says whose it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.errors import UserError

ALL = "environment"
"""Lease of every stack: shared by those who change one, held alone by who ends the environment."""

POLL_SECONDS = 0.2

Say = Callable[[str], None]

_ALONE: set[Path] = set()
"""Homes of which this process holds every stack."""


@contextlib.contextmanager
def held(home: Path, stack: str, *, wait: bool, say: Say) -> Iterator[None]:
    """Nobody else changes the stack meanwhile; UserError says who does, `wait` waits for them."""
    if home in _ALONE:
        yield
        return
    with (
        _lease(home, ALL, shared=True, wait=wait, say=say),
        _lease(home, stack, shared=False, wait=wait, say=say),
    ):
        yield


@contextlib.contextmanager
def held_all(home: Path, *, wait: bool, say: Say) -> Iterator[None]:
    """Nobody else changes any stack of the environment meanwhile."""
    with _lease(home, ALL, shared=False, wait=wait, say=say):
        _ALONE.add(home)
        try:
            yield
        finally:
            _ALONE.discard(home)


@contextlib.contextmanager
def _lease(home: Path, name: str, *, shared: bool, wait: bool, say: Say) -> Iterator[None]:
    path = home / "local" / "leases" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, path, shared=shared, wait=wait, say=say)
        if not shared:
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, *, shared: bool, wait: bool, say: Say) -> None:
    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    told = False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, mode)
            return
        who = _holder(path)
        if not wait:
            what = "the environment local" if path.stem == ALL else f"stack {path.stem}"
            raise UserError(
                f"{what} must be changed by one command at a time, got another: {who}",
                fix="wait for it, or type the command again with --wait",
            )
        if not told:
            say(f"waiting for {who}")
            told = True
        time.sleep(POLL_SECONDS)


def _sign(descriptor: int) -> None:
    """Say in the file whose lease it is."""
    command = " ".join(["plinth", *sys.argv[1:]])
    text = json.dumps({"pid": os.getpid(), "command": command, "since": int(time.time())})
    with contextlib.suppress(OSError):  # a full disk: the lock holds without its words
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(path: Path) -> str:
    """Who holds a lease, as far as the files say it."""
    for file in [path, *sorted(path.parent.glob("*.json"))]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            said = json.loads(file.read_text())
            os.kill(int(said["pid"]), 0)
            seconds = int(time.time()) - int(said["since"])
            return f"process {said['pid']} (`{said['command']}`), for {seconds} s"
    return "a command that has just begun"
