"""A memory limit that the kernel keeps, where this process may set one; None elsewhere.

It counts memory of every kind: of processes, files in memory, sockets, pipes and page tables. Root
has one, and a user to whom systemd gave a part of the tree (cgroups(7)). Where there is none, the
first process of the sandbox counts instead.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """One group of processes with a limit."""

    folder: Path
    unified: bool
    """Whether it is of version 2."""

    def add(self, pid: int) -> None:
        """From here on, this process and its children count."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def ended(self) -> bool:
        """Whether the limit ended a process."""
        name = "memory.events" if self.unified else "memory.oom_control"
        counts = dict(line.split() for line in (self.folder / name).read_text().splitlines())
        return int(counts.get("oom_kill", 0)) > 0

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def limited(mib: int) -> Group | None:
    """A new group with this limit; None where there is none to be had."""
    for base, unified in _bases():
        folder = base / f"plinth-sandbox-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(
                str(mib << 20)
            )
        except OSError:
            folder.rmdir()
            continue
        swap = folder / ("memory.swap.max" if unified else "memory.memsw.limit_in_bytes")
        with contextlib.suppress(OSError):
            swap.write_text("0" if unified else str(mib << 20))
        return Group(folder, unified)
    return None


def _bases() -> list[tuple[Path, bool]]:
    """Where groups of this process are, by what the kernel says of it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append((MOUNT / path.lstrip("/"), True))
        elif "memory" in controllers.split(","):
            found.append((MOUNT / "memory" / path.lstrip("/"), False))
    if (MOUNT / "memory" / "memory.limit_in_bytes").exists():
        found.append((MOUNT / "memory", False))
    return found
