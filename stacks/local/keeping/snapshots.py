"""Snapshots as files: written whole, signed with a key of the home, the last two kept.

A file is a line of JSON, the signature of that line, and the objects (`pickling.py`), whose hash is
in the line. Whatever does not fit is not guessed: a damaged file is passed over for the one before,
and what another version wrote is put aside.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import platform
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stacks.local.keeping.bodies import Bodies, Damaged
from stacks.local.keeping.folder import CHANGED
from stacks.local.keeping.pickling import Dumped, fields_of
from stacks.local.runtime import files
from stacks.local.runtime.keys import Keys

FORMAT = 1
"""Goes up when an older snapshot no longer means the same."""

KEPT = 2
PURPOSE = b"plinth: snapshots of the local cloud"
"""What is signed with the home's secret, so that its signature is good for nothing else."""


class AnotherVersion(Exception):
    """A snapshot is whole and cannot be read by this code; the text says what wrote it."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What was read, and still is bytes."""

    cloud_id: str
    written: datetime
    content: bytes
    journal: int
    left_out: Mapping[str, str]
    """What of moto it lacks, and why."""


@dataclass(frozen=True, kw_only=True)
class Snapshots:
    """The snapshots of one home and the bodies beside them."""

    folder: Path
    keys: Keys = field(repr=False)

    @property
    def bodies_folder(self) -> Path:
        return self.folder / "bodies"

    @property
    def changed(self) -> Path:
        """There while something has changed that no snapshot holds."""
        return self.folder / CHANGED

    def write(self, cloud_id: str, content: bytes, dumped: Dumped, *, journal: int = 0) -> Path:
        """Put the newest one in place, and delete what only older ones need.

        `journal`: number of the first file of the journal whose writes it lacks.
        """
        head = json.dumps(
            {
                "format": FORMAT,
                **versions(),
                "cloud_id": cloud_id,
                "journal": journal,
                "written": datetime.now(UTC).isoformat(),
                "fields": dumped.fields,
                "bodies": dumped.bodies,
                "left_out": dumped.left_out,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ).encode()
        found = self.all()
        number = _number(found[-1]) + 1 if found else 1
        path = self.folder / f"{number:09}.snapshot"
        files.write(path, b"\n".join((head, self.keys.sign(PURPOSE, head), content)))
        for old in found[: 1 - KEPT]:
            old.unlink(missing_ok=True)
        self._collect()
        return path

    def all(self) -> list[Path]:
        """The files, the oldest first."""
        return sorted(self.folder.glob("*.snapshot"))

    def read(self, path: Path) -> Snapshot:
        """A snapshot whose signature, hash and version fit."""
        head, content = self._parts(path)
        told = {name: head.get(name) for name in ("format", "moto")}
        if told != {"format": FORMAT, "moto": version("moto")}:
            raise AnotherVersion(
                f"format {head.get('format')} of Plinth {head.get('plinth')} with moto "
                f"{head.get('moto')}, where this is format {FORMAT} of Plinth {version('plinth')} "
                f"with moto {version('moto')}"
            )
        if other := _other_fields(head["fields"]):
            raise AnotherVersion(f"Plinth {head['plinth']} with other members of {other}")
        if hashlib.sha256(content).hexdigest() != head["sha256"]:
            raise Damaged(f"{path.name} has another content than its hash says")
        if missing := [n for n in head["bodies"] if not (self.bodies_folder / n).exists()]:
            raise Damaged(f"{path.name} names {len(missing)} bodies of objects that are gone")
        return Snapshot(
            cloud_id=head["cloud_id"],
            written=datetime.fromisoformat(head["written"]),
            content=content,
            journal=head.get("journal", 0),
            left_out=head["left_out"],
        )

    def put_aside(self) -> Path:
        """Move everything out of the way; what was put aside before is deleted."""
        aside = self.folder.with_name(f"{self.folder.name}-put-aside")
        shutil.rmtree(aside, ignore_errors=True)
        self.folder.rename(aside)
        return aside

    def _parts(self, path: Path) -> tuple[dict[str, Any], bytes]:
        parts = path.read_bytes().split(b"\n", 2)
        if len(parts) != 3 or not hmac.compare_digest(self.keys.sign(PURPOSE, parts[0]), parts[1]):
            raise Damaged(f"{path.name} is cut off, altered or not signed with this home's key")
        head: dict[str, Any] = json.loads(parts[0])
        return head, parts[2]

    def _collect(self) -> None:
        """Delete the bodies that no snapshot names."""
        named: set[str] = set()
        for path in self.all():
            with suppress(Damaged):
                named |= {*self._parts(path)[0]["bodies"]}
        Bodies(self.bodies_folder).keep(named)


def versions() -> dict[str, str]:
    """What writes a snapshot."""
    return {
        "plinth": version("plinth"),
        "moto": version("moto"),
        "python": platform.python_version(),
    }


def _number(path: Path) -> int:
    return int(path.stem)


def _other_fields(told: Mapping[str, list[str]]) -> str:
    """Names of the classes of ours that hold something else by now, or are gone."""
    return ", ".join(name for name, fields in told.items() if _fields(name) != fields)


def _fields(name: str) -> list[str] | None:
    module, _, kind = name.rpartition(".")
    if not module.startswith("stacks.local."):
        return None
    with suppress(ImportError, AttributeError):
        return fields_of(getattr(import_module(module), kind))
    return None
