"""What engines leave that were killed: locks, half-written files, processes, states too old."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from infra.errors import UserError
from stacks.local.daemon import state_files
from stacks.local.daemon.state_files import state_folder

STARTED_BY = "PLINTH_STARTED_BY"
"""Tells an engine, and whoever finds it later, which command line waits for it."""

ORPHAN_GRACE_SECONDS = 10
"""How long an engine whose command line was killed may take to end by itself."""

Say = Callable[[str], None]


def clear_dead_lock(home: Path, stack: str, say: Say) -> bool:
    """Remove a stack's lock of an engine that no longer runs; whether there was one.

    An engine that outlived its command line is given time to end, then stopped: it is ours.
    UserError when a living command line holds the lock.
    """
    cleared = False
    for lock in _locks(home, stack):
        owner = _read(lock)
        engine = _process(owner)
        if engine is not None:
            if not _is_orphan(engine):
                raise UserError(
                    f"stack {stack} must not be updated twice at once, got another update by "
                    f"process {engine.pid} ({' '.join(engine.cmdline()[:3])})",
                    fix=f"wait for it, or stop process {engine.pid}",
                )
            say(f"waiting for the engine of a command that was killed (process {engine.pid})")
            _end(engine)
        lock.unlink(missing_ok=True)
        say(f"cleared the lock of process {owner.get('pid')}, which no longer runs")
        cleared = True
    if cleared:
        end_orphaned_plugins(home)
        remove_torn_files(state_folder(home), stack)
        cut_off(home, stack)
    return cleared


def cut_off(home: Path, stack: str) -> None:
    """Note that the state of a stack may be older than what its cloud holds."""
    _cut_off(home, stack).parent.mkdir(exist_ok=True)
    _cut_off(home, stack).touch()


def was_cut_off(home: Path, stack: str) -> bool:
    """Whether an engine was killed since the last update that ended: its state is too old."""
    dead = [lock for lock in _locks(home, stack) if _process(_read(lock)) is None]
    return bool(dead) or _cut_off(home, stack).exists()


def mended(home: Path, stack: str) -> None:
    """An update ended: the state is what the cloud holds."""
    _cut_off(home, stack).unlink(missing_ok=True)


def forget(home: Path) -> None:
    """Nothing is deployed any more."""
    end_orphaned_plugins(home)
    state_files.forget(home)
    shutil.rmtree(home / "local" / "cut-off", ignore_errors=True)
    shutil.rmtree(home / "local" / "policy-config", ignore_errors=True)


def _cut_off(home: Path, stack: str) -> Path:
    return home / "local" / "cut-off" / stack


def _locks(home: Path, stack: str) -> list[Path]:
    """Locks of a stack, or of all stacks (`*`)."""
    folder = state_folder(home) / ".pulumi" / "locks"
    return sorted(folder.glob(f"**/{stack}/*.json"))


def remove_torn_files(state: Path, stack: str) -> None:
    """Delete what a killed engine wrote half beside its checkpoint; call it only without an engine.

    The backend replaces a checkpoint in one step, but its `.attrs` beside it (a hash and a content
    type) is written in place: an empty one stops every later command with `EOF`. Engines of other
    stacks may be at work: their drafts are left alone.
    """
    for draft in state.rglob("*.tmp"):
        if draft.name.startswith((f"{stack}.", f"{stack}-")) or draft.parent.name == stack:
            draft.unlink(missing_ok=True)
    for attributes in state.rglob("*.attrs"):  # without one a file has none: no engine misses it
        if not _read(attributes):
            attributes.unlink(missing_ok=True)


def _process(owner: Mapping[str, Any]) -> psutil.Process | None:
    """The engine that took the lock, if it still runs: same id, Pulumi, started before the lock."""
    try:
        process = psutil.Process(int(owner.get("pid", 0)))
        taken = datetime.fromisoformat(str(owner.get("timestamp"))).timestamp()
        same = "pulumi" in process.name() and process.create_time() <= taken
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ValueError, TypeError):  # the lock itself may be damaged
        return None


def _is_orphan(engine: psutil.Process) -> bool:
    """Whether the command line that started this engine is gone; never of one typed by hand."""
    try:
        pid, _, started = engine.environ().get(STARTED_BY, "").partition("@")
        if not pid:
            return False
        parent = psutil.Process(int(pid))
        return f"{parent.create_time()}" != started or parent.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_orphaned_plugins(home: Path) -> None:
    """End what engines of this home that were killed had started: policy packs wait for ever."""
    mine = f"file://{state_folder(home)}"
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            variables = process.environ()
            started_here = STARTED_BY in variables and variables.get("PULUMI_BACKEND_URL") == mine
            engines = (process, *process.parents())
            if started_here and not any(one.name() == "pulumi" for one in engines):
                left.append(process)
    _stop(left)


def _end(engine: psutil.Process) -> None:
    try:
        engine.wait(ORPHAN_GRACE_SECONDS)
    except psutil.TimeoutExpired:
        _stop([engine, *engine.children(recursive=True)])
        time.sleep(0.1)


def _stop(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(errors="replace"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return data if isinstance(data, dict) else {}
