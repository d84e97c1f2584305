"""The state of the stacks of `local` as files: where it lies, whether it is whole, copies of it.

The engine writes a checkpoint and then the same into its history. A copy of each state that an
update left lies outside the engine's folder, so that an engine starts only on what the last one
wrote, and a lost or altered state can be put back.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import UserError
from stacks.checkpoint import Damaged, difference, resources_of, written_at
from stacks.local.runtime import files

KEPT = 3
"""Copies of a stack's state outside the engine's folder."""

HASH_CHARACTERS = 16


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A state of a stack as it was after some update."""

    path: Path
    content: bytes
    resources: int
    written: float
    """Seconds since 1970."""


def state_folder(home: Path) -> Path:
    """Where the file backend keeps the state of all stacks."""
    return home / "local" / "state"


def checkpoint(home: Path, stack: str) -> Path:
    """The newest state of a stack."""
    return state_folder(home) / ".pulumi" / "stacks" / "plinth" / f"{stack}.json"


def latest(home: Path, stack: str) -> Mapping[str, Any]:
    """The deployment in a stack's checkpoint; empty where there is none or it is damaged."""
    try:
        content = checkpoint(home, stack).read_bytes()
        resources_of(content, stack)
    except (OSError, Damaged):
        return {}
    return json.loads(content)["checkpoint"].get("latest") or {}


def stacks(home: Path) -> list[str]:
    """Names of the stacks that have a state."""
    return sorted(path.stem for path in checkpoint(home, "").parent.glob("*.json"))


def held(home: Path) -> set[tuple[str, str]]:
    """URN and id of every resource in the states, without those that a replacement deleted first:
    an engine that was cut off before it made the other one keeps them, and deletes them no more."""
    return {
        (resource["urn"], resource["id"])
        for stack in stacks(home)
        for resource in latest(home, stack).get("resources") or []
        if "id" in resource and not resource.get("pendingReplacement")
    }


def ledger_file(home: Path) -> Path:
    """Where the local cloud writes what it made for which URN."""
    return home / "local" / "ledger.json"


def copies(home: Path, stack: str) -> list[Copy]:
    """Every whole copy of a stack's state, the newest first."""
    found = []
    for path in [*_own(home, stack), *_history(home, stack)]:
        with suppress(OSError, Damaged):
            content = path.read_bytes()
            if _folder(home) in path.parents and _name(content) not in path.name:
                raise Damaged("another content than its name says")
            number = len(resources_of(content, stack))
            written = path.stat().st_mtime
            found.append(Copy(path=path, content=content, resources=number, written=written))
    return sorted(found, key=lambda copy: copy.written, reverse=True)


def engine_ended(home: Path, stack: str) -> bool:
    """Whether a stack's state is what an engine wrote last, into its history too."""
    history = sorted(_history(home, stack))
    path = checkpoint(home, stack)
    return bool(history) and path.exists() and path.read_bytes() == history[-1].read_bytes()


def keep(home: Path, stack: str) -> None:
    """Copy a stack's state as it is now; of older copies a few are left."""
    path = checkpoint(home, stack)
    if not path.exists():
        return
    content, own = path.read_bytes(), _own(home, stack)
    if own and _name(content) in own[-1].name:
        return
    number = int(own[-1].name.partition("-")[0]) + 1 if own else 1
    files.write(_folder(home) / stack / f"{number:06}-{_name(content)}.json", content)
    for old in own[: -KEPT + 1]:
        old.unlink(missing_ok=True)


def damage(home: Path, stack: str, *, cut_off: bool) -> str | None:
    """What is wrong with a stack's state; None where it is what the last update left.

    After an engine was cut off, what it wrote and did not copy into its history is right too.
    """
    path, known = checkpoint(home, stack), copies(home, stack)
    if not path.exists():
        lost = (known and known[0].resources) or (not cut_off and _made(home, stack))
        return "no file" if lost else None
    content = path.read_bytes()
    try:
        found = resources_of(content, stack)
    except Damaged as damaged:
        return str(damaged)
    if known and content != known[0].content:
        if cut_off and written_at(content) > written_at(known[0].content):
            return None
        return difference(found, resources_of(known[0].content, stack))
    made = 0 if cut_off or any(resource.get("custom") for resource in found) else _made(home, stack)
    return f"no resources, where the local cloud holds {made}" if made else None


def check(home: Path, stack: str, *, cut_off: bool) -> None:
    """UserError where no engine may act on a stack's state."""
    what = damage(home, stack, cut_off=cut_off)
    if what is not None:
        raise UserError(
            f"the state of {stack} must be what its last update left, got {what}; "
            "nothing was changed",
            fix=f"type `plinth state {stack} restore`, or, where you changed it on purpose, "
            f"`plinth state {stack} accept`",
        )


def restore(home: Path, stack: str) -> Copy:
    """Put the newest copy back; UserError where there is none. What was there is put aside."""
    path, known = checkpoint(home, stack), copies(home, stack)
    if not known:
        raise UserError(
            f"a copy of the state of {stack} must be there to be put back, got none",
            fix="type `plinth destroy local --yes`, which ends the cloud with all that it holds, "
            "and `plinth up local`",
        )
    if path.exists():
        path.replace(_folder(home) / f"{stack}.damaged")
    for attributes in path.parent.glob(f"{path.name}*.attrs"):  # of another content
        attributes.unlink(missing_ok=True)
    files.write(path, known[0].content)
    return known[0]


def accept(home: Path, stack: str) -> None:
    """Take a state for what the last update left; UserError where no engine could act on it."""
    path = checkpoint(home, stack)
    if not path.exists():
        return
    try:
        resources_of(path.read_bytes(), stack)
    except Damaged as damaged:
        raise UserError(
            f"the state of {stack} must be whole to be accepted, got {damaged}",
            fix=f"type `plinth state {stack} restore`",
        ) from None
    keep(home, stack)


def forget(home: Path) -> None:
    """Drop all copies: what they list is gone."""
    shutil.rmtree(_folder(home), ignore_errors=True)
    ledger_file(home).unlink(missing_ok=True)


def _made(home: Path, stack: str) -> int:
    """How many resources the local cloud made for a stack and did not delete."""
    made = files.read_json(ledger_file(home), fix="delete it: the local cloud writes it anew") or {}
    return sum(urn.startswith(f"urn:pulumi:{stack}::") for urn in made)


def _folder(home: Path) -> Path:
    return home / "local" / "state-copies"


def _own(home: Path, stack: str) -> list[Path]:
    return sorted((_folder(home) / stack).glob("*.json"))


def _history(home: Path, stack: str) -> list[Path]:
    """What the engine's backend wrote beside each state; names end in its time."""
    folder = state_folder(home) / ".pulumi" / "history" / "plinth" / stack
    return list(folder.glob("*.checkpoint.json"))


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_CHARACTERS]
