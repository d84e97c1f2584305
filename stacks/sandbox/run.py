"""Runs a program that nobody has read: with nothing to steal, nobody to reach, nothing to break.

What it gets is the checkout to read, the system's programs, a scratch folder and one folder whose
plain files come back. Namespaces (user, mount, process, network, IPC, names) hide the rest, a
system call filter and no privileges keep it in, limits and a watch over memory and time end it, and
what it prints is text by the time a person or a runner sees it. Where the kernel allows no
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
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from infra.errors import UserError
from stacks.sandbox import seccomp

INSIDE = Path(__file__).parent / "inside.py"
NOBODY = 65_534
"""Whom the program is outside, where root starts it: root's limits would not hold it."""

HOME = "/home/plinth"
HIDDEN = (".plinth", ".git/config", ".env", ".aws", ".netrc", ".pypirc")
"""Of the checkout: state, and files in which credentials lie."""

POLL_SECONDS = 0.1
REFUSED = 125
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
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
    """Of all processes together, and address space of each twice that."""

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
    command: Sequence[str], *, repository: Path, output: Path, limits: SandboxLimits | None = None
) -> Outcome:
    """Run a command on a checkout and wait; UserError where this kernel cannot hold it."""
    bounds = limits or SandboxLimits()
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        spec = _spec(command, repository.resolve(), output.resolve(), bounds)
        result = held.enter_context(tempfile.TemporaryFile())
        out, into = os.pipe()
        spec_file = held.enter_context(tempfile.TemporaryFile())
        spec["result_fd"] = result.fileno()
        spec_file.write(json.dumps(spec).encode())
        spec_file.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(INSIDE), str(spec_file.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=into,
            stderr=into,
            pass_fds=[spec_file.fileno(), result.fileno()],
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
        os.close(into)
        reader = _Reader(held.enter_context(os.fdopen(out, "rb")), bounds.text_kib << 10)
        reader.start()
        ended_by = _watched(process, bounds)
        reader.join(timeout=5)
        text = printable(reader.text(), reader.dropped)
        if process.returncode == REFUSED and "sandbox refused:" in text:
            raise UserError(f"this kernel must allow a sandbox, got {text.strip()}", fix=FIX)
        files = _kept(result, output, bounds)
        return Outcome(124 if ended_by else process.returncode, text, files, ended_by)


def _spec(
    command: Sequence[str], repository: Path, output: Path, limits: SandboxLimits
) -> dict[str, Any]:
    """What the first process inside is told, as data."""
    machine = platform.machine()
    try:
        code = seccomp.program(machine)
    except KeyError:
        raise UserError(f"the sandbox runs on x86_64 and aarch64, got {machine}") from None
    interpreter = {Path(sys.base_prefix), Path(sys.prefix)}
    outside = [path for path in sorted(interpreter) if not path.is_relative_to("/usr")]
    mib = 1 << 20
    return {
        "command": list(command),
        "cwd": str(repository),
        "machine": machine,
        "become": NOBODY if os.getuid() == 0 else None,
        "environment": _environment(repository, output),
        "home": HOME,
        "shown": [(str(path), str(path)) for path in (repository, *outside)],
        "hidden": [str(repository / name) for name in HIDDEN],
        "output": str(output),
        "tmp_mib": limits.tmp_mib,
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
    clean = CONTROL.sub("\ufffd", text.replace("\r\n", "\n")).replace("##[", "# #[")
    lines = [f"| {line}" for line in clean.splitlines()]
    lines += [f"({dropped} more bytes)"] if dropped else []
    return "".join(f"{line}\n" for line in lines)
