"""Bodies of objects in S3 beside the snapshots: large ones once, under the hash of their content.

A body is written before a snapshot names it, and deleted when no snapshot does any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any
from weakref import WeakKeyDictionary

from stacks.local.runtime import files

CHUNK_BYTES = 1 << 20
INLINE_BYTES = 8192
"""A smaller body is in the snapshot itself."""


class Damaged(Exception):
    """What was kept is not what was written; the text says how."""


class Bodies:
    """The bodies of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: WeakKeyDictionary[Any, tuple[str, int]] = WeakKeyDictionary()
        """Object of moto's -> name and size of its body, once it is written."""

    def write(self, key: Any) -> None:
        """See to it that the body of an object lies here, where it is large."""
        if key.contentsize <= INLINE_BYTES:
            return
        known = self._name(key)
        if known is not None and (self.folder / known).exists():
            return
        try:
            content = key.value
        except ValueError:  # deleted meanwhile: closed
            return
        name = hashlib.sha256(content).hexdigest()
        if not (self.folder / name).exists():
            files.write(self.folder / name, content)
        self._known[key] = (name, len(content))

    def has(self, key: Any) -> bool:
        """Whether the body of an object is small or lies here."""
        return key.contentsize <= INLINE_BYTES or self._name(key) is not None

    def of(self, key: Any) -> bytes | str:
        """A small body, or the name of a large one."""
        name = self._name(key)
        if name is not None:
            return name
        buffer = key._value_buffer
        if buffer.closed:
            return b""
        # in memory: moto moves to a file what is larger than megabytes
        return bytes(buffer._file.getbuffer()[: key.contentsize])

    def _name(self, key: Any) -> str | None:
        name, size = self._known.get(key, (None, 0))
        return name if size == key.contentsize else None

    def keep(self, names: Collection[str]) -> None:
        """Delete the others, but for what a snapshot that is not written yet may name."""
        for path in self.folder.glob("[!.]*"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def copy(self, name: str, out: IO[bytes]) -> None:
        """Fill a buffer with a body; Damaged where the file has another content."""
        hashed = hashlib.sha256()
        with (self.folder / name).open("rb") as body:
            while chunk := body.read(CHUNK_BYTES):
                hashed.update(chunk)
                out.write(chunk)
        if hashed.hexdigest() != name:
            raise Damaged(f"the body {name} of an object has another content")
