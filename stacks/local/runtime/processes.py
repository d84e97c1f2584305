"""The child processes of the local cloud: started with a record, found again, stopped as a family.

Every child leads its own session and has a file `<run>/<pid>.json`, so a later cloud can stop what
a killed one left behind. A process is the same only if its start time is the recorded one: process
ids are reused.
"""

import contextlib
import json
import os
import random
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from stacks.local.runtime.files import write_json

RUN_VARIABLE = "PLINTH_RUN"
"""Set in every child to its run folder: finds a child whose record was never written."""

FAMILY_VARIABLE = "PLINTH_FAMILY"
"""Set in every child and what it starts to a word of its own: finds what left its session."""

TAIL_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Child:
    """A recorded process of the local cloud."""

    pid: int
    create_time: float
    purpose: str
    argv: tuple[str, ...]
    family: str = ""
    """Value of FAMILY_VARIABLE. Default: none is known."""

    def alive(self) -> bool:
        return is_alive(self.pid, self.create_time)


@dataclass(frozen=True, kw_only=True)
class Children:
    """The children recorded in one run folder."""

    folder: Path

    def spawn(
        self,
        argv: Sequence[str],
        *,
        purpose: str,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
    ) -> subprocess.Popen[bytes]:
        """Start a program in its own session, its output appended to `log`, and record it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        family = secrets.token_hex(8)
        with log.open("ab") as out:
            process = subprocess.Popen(
                argv,
                env={**env, RUN_VARIABLE: str(self.folder), FAMILY_VARIABLE: family},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with contextlib.suppress(psutil.NoSuchProcess):  # over before it could be recorded
            create_time = psutil.Process(process.pid).create_time()
            self._record(
                Child(
                    pid=process.pid,
                    create_time=create_time,
                    purpose=purpose,
                    argv=tuple(argv),
                    family=family,
                )
            )
        return process

    def stop(self, process: subprocess.Popen[bytes], grace_seconds: float = 5) -> int:
        """End a child and all that it started; its exit code, as a shell counts it."""
        stop_session(process.pid, grace_seconds)
        status = process.wait()
        record = _read(self.folder / f"{process.pid}.json")
        if record is not None and record.family:
            terminate(_carrying(FAMILY_VARIABLE, record.family), 0)
        self.forget(process.pid)
        return exit_code(status)

    def forget(self, pid: int) -> None:
        """Drop the record of a child that is over."""
        (self.folder / f"{pid}.json").unlink(missing_ok=True)

    def recorded(self) -> list[Child]:
        """Every recorded child, alive or not, by process id."""
        read = (_read(path) for path in sorted(self.folder.glob("*.json")))
        return [child for child in read if child is not None]

    def reap(self, grace_seconds: float = 2) -> list[Child]:
        """Stop every recorded child that still is the same process; those that were alive."""
        alive = [child for child in self.recorded() if child.alive()]
        members = [m for child in alive for m in session_members(child.pid)]
        # members of a dead leader, or never recorded
        terminate([*members, *_carrying(RUN_VARIABLE, str(self.folder))], grace_seconds)
        for path in self.folder.glob("*.json"):
            path.unlink(missing_ok=True)
        return alive

    def _record(self, child: Child) -> None:
        write_json(self.folder / f"{child.pid}.json", asdict(child))


def exit_code(status: int) -> int:
    """What a shell and a container engine say: 128 and the signal that ended a process."""
    return 128 - status if status < 0 else status


def _read(path: Path) -> Child | None:
    """A recorded child; None where the record is gone or no record."""
    try:
        record = json.loads(path.read_text())
        return Child(
            pid=record["pid"],
            create_time=record["create_time"],
            purpose=record["purpose"],
            argv=tuple(record["argv"]),
            family=record.get("family", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _carrying(name: str, value: str) -> list[psutil.Process]:
    """Other processes that have a variable in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                found.append(process)
    return found


def is_alive(pid: int, create_time: float) -> bool:
    """Whether this very process runs, not another one that got its id."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - create_time) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger holds this process, so that nothing of it runs."""
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.NoSuchProcess:
        return False


def session_members(leader: int) -> list[psutil.Process]:
    """The processes of the session that this process leads."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader:
                members.append(process)
    return members


def stop_session(leader: int, grace_seconds: float) -> None:
    """End a session: politely, then for good."""
    terminate(session_members(leader), grace_seconds)
    terminate(session_members(leader), 0)  # what was started in the meantime


def terminate(processes: Sequence[psutil.Process], grace_seconds: float) -> None:
    """Ask the processes to end and kill those that have not after the grace time."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate() if grace_seconds else process.kill()
    _, stubborn = psutil.wait_procs(processes, timeout=grace_seconds or 1)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=2)


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, empty when there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def port_owner(port: int) -> str:
    """Who listens on a local TCP port, as process id and command line."""
    for connection in psutil.net_connections(kind="tcp"):
        listening = connection.status == psutil.CONN_LISTEN
        if not (listening and connection.laddr and connection.laddr.port == port):
            continue
        if connection.pid is None:
            continue
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(connection.pid)
            return f"pid {process.pid} ({' '.join(process.cmdline())})"
    return "a process of another user"


def is_free(port: int) -> bool:
    """Whether a program may listen on a port of the loopback interface; not on 0."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        # connections of a program that ended linger; servers take the port all the same
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return port > 0
    return False


def free_port() -> int:
    """A free TCP port below the ephemeral range, so that no outgoing connection takes it."""
    for port in random.sample(range(20_000, 32_000), 200):
        if is_free(port):
            return port
    raise OSError("none of 200 ports tried is free")
