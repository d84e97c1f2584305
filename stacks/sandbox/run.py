"""Runs a program that nobody has read: with nothing to steal, nobody to reach, nothing to break.

What it gets is the commit of the checkout to read and nothing else that lies there, the system's
programs, a scratch folder and one folder whose plain files come back. Namespaces (user, mount,
process, network, IPC, names) hide the rest, a system call filter and no privileges keep it in,
limits and a watch over memory and time end it (the kernel's own where there is a control group),
and what it prints is text by the time a person or a runner sees it. Where the kernel allows no
namespaces, it refuses.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from infra.errors import UserError
from stacks.sandbox import cgroup, seccomp, view
from stacks.terminal import plain

INSIDE = Path(__file__).parent / "inside.py"
NOBODY = 65_534
"""Whom the program is outside, where root starts it: root's limits would not hold it."""

HOME = "/home/plinth"
POLL_SECONDS = 0.1
FIX = (
    "run it on Linux 5.14 or newer where a process may make user namespaces: on Ubuntu 24.04 "
    "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, in a container "
    "`--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
)


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a program may use. The defaults are several times what a review of `prod` takes."""

    wall_seconds: int = 300
    cpu_seconds: int = 600
    """Of one process."""

    memory_mib: int = 4096
    """Of all processes, files in memory and sockets together; address space of each twice that."""

    processes: int = 256
    open_files: int = 1024
    tmp_mib: int = 256
    """Of each of /tmp, the home folder and /dev/shm; they count as memory of the machine."""

    output_mib: int = 16
    output_files: int = 32
    text_kib: int = 256
    """Of what it prints; the rest is dropped and counted."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int
    """Its exit code; 124 for a limit of time or memory, as `timeout` has it."""

    text: str
    """What it printed, one safe line for each of its."""

    files: tuple[str, ...]
    """What came back into the output folder."""

    ended_by: str = ""
    """The limit that ended it. Default: it ended by itself."""


def run(
    command: Sequence[str],
    *,
    repository: Path,
    output: Path,
    limits: SandboxLimits | None = None,
    control_group: bool = True,
) -> Outcome:
    """Run a command on a checkout and wait; UserError where this kernel cannot hold it.

    `control_group`: whether the kernel is asked for one, where there is one to be had.
    """
    bounds = limits or SandboxLimits()
    output.mkdir(parents=True, exist_ok=True)
    repository = repository.resolve()
    with ExitStack() as held:
        commit = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="plinth-commit-")))
        commit.chmod(0o755)
        spec = _spec(command, repository, output.resolve(), bounds)
        shown = [(str(repository), str(commit)), *view.make(repository, commit)]
        spec["shown"] = [*shown, *_interpreter(repository, commit)]
        result = held.enter_context(tempfile.TemporaryFile())
        group = cgroup.limited(bounds.memory_mib) if control_group else None
        if group is not None:
            held.callback(group.remove)
        ended = _ended(held, spec, result, group, bounds)
        if "refused" in ended.said:
            told = printable(str(ended.said["refused"])).strip()
            raise UserError(f"this kernel must allow a sandbox, got: {told}", fix=FIX)
        ended_by = str(ended.said.get("ended_by", ended.ended_by))
        if not ended_by and ended.code and group is not None and group.ended():
            ended_by = f"{bounds.memory_mib} MiB of memory"
        files = _kept(result, output, bounds)
        return Outcome(124 if ended_by else ended.code, ended.text, files, ended_by)


@dataclass(frozen=True)
class _Ended:
    """What is known when the last process inside is gone."""

    code: int
    text: str
    ended_by: str
    said: Mapping[str, Any]
    """By the processes inside that are ours."""


def _ended(
    held: ExitStack,
    spec: dict[str, Any],
    result: IO[bytes],
    group: cgroup.Group | None,
    bounds: SandboxLimits,
) -> _Ended:
    """Start the first process, give it what it waits for, and wait for its end."""
    out, into = os.pipe()
    tells, told = os.pipe()
    orders, order = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(INSIDE), str(orders)],
        stdin=subprocess.DEVNULL,
        stdout=into,
        stderr=into,
        pass_fds=[orders, result.fileno(), told],
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    for fd in (into, told, orders):
        os.close(fd)
    reader = _Reader(held.enter_context(os.fdopen(out, "rb")), bounds.text_kib << 10)
    reader.start()
    with os.fdopen(order, "wb") as stream:
        if group is not None:
            group.add(process.pid)  # before it has a child
        stream.write(json.dumps({**spec, "result_fd": result.fileno(), "told_fd": told}).encode())
    ended_by = _watched(process, bounds)
    said = _said(held.enter_context(os.fdopen(tells, "rb")))
    reader.join(timeout=5)
    code = int(said.get("code", process.returncode & 0xFF))
    return _Ended(code, printable(reader.text(), reader.dropped), ended_by, said)


def _said(stream: IO[bytes]) -> dict[str, Any]:
    """What the first processes inside said of themselves, before the program began or after."""
    said: dict[str, Any] = {}
    for line in stream.read(1 << 16).splitlines():
        said |= json.loads(line)
    return said


def _interpreter(repository: Path, commit: Path) -> list[tuple[str, str]]:
    """The Python that runs this, where the system's folders do not have it."""
    found = []
    for path in sorted({Path(sys.base_prefix), Path(sys.prefix)}):
        if path.is_relative_to(repository):
            (commit / path.relative_to(repository)).mkdir(parents=True, exist_ok=True)
        if not path.is_relative_to("/usr"):
            found.append((str(path), str(path)))
    return found


def _spec(
    command: Sequence[str], repository: Path, output: Path, limits: SandboxLimits
) -> dict[str, Any]:
    """What the first process inside is told, as data."""
    machine = platform.machine()
    try:
        code = seccomp.program(machine)
    except KeyError:
        raise UserError(f"the sandbox runs on x86_64 and aarch64, got {machine}") from None
    mib = 1 << 20
    return {
        "command": list(command),
        "cwd": str(repository),
        "machine": machine,
        "become": NOBODY if os.getuid() == 0 else None,
        "environment": _environment(repository, output),
        "home": HOME,
        "output": str(output),
        "tmp_mib": limits.tmp_mib,
        "memory_mib": limits.memory_mib,
        "files": 8 * limits.open_files,
        "socket_bytes": int(Path("/proc/sys/net/core/wmem_default").read_text()),
        "output_mib": limits.output_mib,
        "output_files": limits.output_files,
        "seccomp": code.hex(),
        "limits": {
            "NPROC": limits.processes,
            "NOFILE": limits.open_files,
            "CPU": limits.cpu_seconds,
            "AS": 2 * limits.memory_mib * mib,
            "FSIZE": limits.tmp_mib * mib,
            "CORE": 0,
            "MSGQUEUE": 0,
            "MEMLOCK": 0,
        },
    }


def _environment(repository: Path, output: Path) -> dict[str, str]:
    """All of it: nothing of ours is passed on."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": HOME,
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(repository),
        "PYTHONNOUSERSITE": "1",
        "PLINTH_HOME": f"{HOME}/state",
        "PLINTH_SANDBOX_OUTPUT": str(output),
        "PULUMI_BACKEND_URL": f"file://{HOME}",
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        # the checkout belongs to somebody else in there
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


class _Reader(Thread):
    """Reads to the end, so that nobody waits for us, and keeps the beginning."""

    def __init__(self, stream: IO[bytes], limit_bytes: int) -> None:
        super().__init__(daemon=True)
        self._stream, self._limit, self._kept = stream, limit_bytes, bytearray()
        self.dropped = 0

    def run(self) -> None:
        try:
            while chunk := os.read(self._stream.fileno(), 1 << 16):
                room = self._limit - len(self._kept)
                self._kept += chunk[: max(0, room)]
                self.dropped += max(0, len(chunk) - room)
        except (OSError, ValueError):
            return

    def text(self) -> str:
        return self._kept.decode(errors="replace")


def _watched(process: subprocess.Popen[bytes], limits: SandboxLimits) -> str:
    """Wait for the end; the limit that brought it about, if one did."""
    import psutil

    deadline = time.monotonic() + limits.wall_seconds
    seen = psutil.Process(process.pid)
    ended_by = ""
    try:
        while process.poll() is None and not ended_by:
            try:
                process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    ended_by = f"{limits.wall_seconds} seconds"
                elif _memory_bytes(seen) > limits.memory_mib << 20:
                    ended_by = f"{limits.memory_mib} MiB of memory"
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)  # and with it the first process, and all inside
            process.wait()
    return ended_by


def _memory_bytes(process: Any) -> int:
    """Memory of all processes inside."""
    import psutil

    total = 0
    try:
        family = process.children(recursive=True)
    except psutil.Error:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total


def _kept(stream: IO[bytes], output: Path, limits: SandboxLimits) -> tuple[str, ...]:
    """Write the plain files that came out; whatever else is in the archive is left there."""
    stream.seek(0)
    names: list[str] = []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for item in tar:
                plain = item.isreg() and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,100}", item.name, re.A)
                data = tar.extractfile(item) if plain else None
                if data is None or len(names) >= limits.output_files:
                    continue
                target = output / item.name
                target.unlink(missing_ok=True)  # never through a link that lies there
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(target, flags, 0o644), "wb") as file:
                    file.write(data.read(limits.output_mib << 20))
                names.append(item.name)
    except tarfile.TarError:
        pass
    return tuple(names)


def printable(text: str, dropped: int = 0) -> str:
    """Each line as text behind a bar: a runner obeys lines that begin with `::` or hold `##[`."""
    clean = plain(text).replace("##[", "# #[")
    lines = [f"| {line}" for line in clean.splitlines()]
    lines += [f"({dropped} more bytes)"] if dropped else []
    return "".join(f"{line}\n" for line in lines)
