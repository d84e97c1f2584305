"""The local cloud seen from the command line: start it, find it, stop it.

Cheap to import: the cloud itself runs in another process.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from infra.errors import UserError
from stacks.local.runtime.files import OWNER_ALONE
from stacks.local.runtime.processes import Children, is_alive, is_stopped, tail

START_SECONDS = 180
"""Longest that a cloud may take until it answers: one with data starts what served before."""

STOP_SECONDS = 20
POLL_SECONDS = 0.05

ALREADY_RUNNING = 4
"""Exit code of a second cloud of one home. The first may be orphaned: its starter was killed."""


@dataclass(frozen=True, kw_only=True)
class CloudInfo:
    """A running local cloud, as it describes itself in cloud.json."""

    pid: int
    create_time: float
    cloud_id: str
    """That of its data: the state of a stack with another id describes what is gone."""

    endpoint_url: str
    provider_port: int
    kubernetes_port: int
    """Of the provider plugin for `kubernetes:*`."""

    job_isolation: str
    restored: bool = False
    """Whether it has the data of a cloud before it."""

    notes: Sequence[str] = ()
    """What became of those data. Default: there were none."""


FIELDS = tuple(CloudInfo.__dataclass_fields__)


def find(home: Path) -> CloudInfo | None:
    """The cloud of this home if it is alive; UserError where it is stopped and answers nobody.

    To a stopped process (SIGSTOP, Ctrl+Z, a debugger) one can connect: whoever asked it would wait
    until its own patience ends, minutes later.
    """
    info = _found(home)
    if info is not None and is_stopped(info.pid):
        raise UserError(
            f"the local cloud (process {info.pid}) is stopped by a signal: it answers nobody",
            fix=f"let it go on (`kill -CONT {info.pid}`), or forget it: `plinth reset local --yes`",
        )
    return info


def _found(home: Path) -> CloudInfo | None:
    """The cloud by its record or by what its lock holds."""
    for path in (_record(home), _lock_file(home)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            record = json.loads(path.read_text())
            info = CloudInfo(**{name: record[name] for name in FIELDS})
            if is_alive(info.pid, info.create_time):
                return info
    return None


def start(home: Path, port: int | None = None, timeout_seconds: float = START_SECONDS) -> CloudInfo:
    """The running cloud of this home, started if there is none; two callers get the same one."""
    home = home.absolute()
    with _locked(home):
        return find(home) or _spawn(home, port, timeout_seconds)


def stop(home: Path) -> bool:
    """End the cloud of this home and every process it left; whether a cloud was running."""
    home = home.absolute()
    with _locked(home):
        info = _found(home) or _about_to_run(home)
        if info:
            with contextlib.suppress(ProcessLookupError):
                os.kill(info.pid, signal.SIGTERM)
                os.kill(info.pid, signal.SIGCONT)  # a stopped one hears nothing else
            deadline = time.monotonic() + STOP_SECONDS
            while is_alive(info.pid, info.create_time) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            if is_alive(info.pid, info.create_time):
                os.kill(info.pid, signal.SIGKILL)
        Children(folder=home / "local" / "run").reap()
        _record(home).unlink(missing_ok=True)
        (home / "local" / "mlflow.json").unlink(missing_ok=True)
        return info is not None


def _spawn(home: Path, port: int | None, timeout_seconds: float) -> CloudInfo:
    log = home / "local" / "cloud.log"
    log.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "stacks.local.daemon.main", "--home", str(home)]
    if port is not None:
        argv += ["--port", str(port)]
    log.touch(mode=OWNER_ALONE)
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).resolve().parents[3],
            env=_own(os.environ),
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        info = find(home)
        if info:
            return info
        if process.poll() not in (None, ALREADY_RUNNING):
            break
        time.sleep(POLL_SECONDS)
    if process.poll() is None:
        process.kill()
        why = f"was not ready after {timeout_seconds:.0f} s"
    else:
        why = f"ended with exit code {process.returncode}"
    raise UserError(
        f"the local cloud {why}; the last lines of {log}:\n{tail(log)}",
        fix="act on the last line above, then run the command again",
    )


def take_lock(home: Path) -> TextIO | None:
    """The lock that one cloud per home holds for its life; None when another has it."""
    private_folder(home)
    lock = _lock_file(home).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def private_folder(home: Path) -> Path:
    """Where the local cloud of a home keeps everything, closed to other users of the machine."""
    folder = home / "local"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def _about_to_run(home: Path) -> CloudInfo | None:
    """The cloud that a killed command line left on its way up, once it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lock = take_lock(home)
        if lock is not None:
            lock.close()
            return None
        info = _found(home)
        if info:
            return info
        time.sleep(POLL_SECONDS)
    return None


def _own(environment: Mapping[str, str]) -> dict[str, str]:
    """Without the person's AWS settings, which do not belong into the local cloud.

    gRPC prepares for calls from a copy of its process; those that write the data down make none.
    """
    foreign = ("AWS_", "MLFLOW_", "PULUMI_")
    own = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    return {**own, "GRPC_ENABLE_FORK_SUPPORT": "0"}


def _record(home: Path) -> Path:
    return home / "local" / "cloud.json"


def _lock_file(home: Path) -> Path:
    return home / "local" / "daemon.lock"


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One start or stop at a time per home; the lock of a dead process is free."""
    folder = private_folder(home)
    (folder / "cloud.lock").touch(mode=OWNER_ALONE)
    with (folder / "cloud.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
