"""Unpacks archives that somebody else made: files and folders alone, and no more than is asked for.

Everything is bounded while it is read: bytes, members, what is held in memory at once, and time. So
an archive that would fill the disk, or name a place outside of its folder, ends as an error with
its name. `tarfile` has a filter of its own since Python 3.11.4 (PEP 706; Debian 12 has 3.11.2): it
is used where it is, and what is checked here holds without it.
"""

import gzip
import shutil
import struct
import tarfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

AT_ONCE_BYTES = 1 << 20
"""Most of one read: tarfile copies in smaller pieces, and only a lie in a header asks for more."""

END_OF_ZIP = struct.Struct("<4s4H2LH")
"""The record that ends a zip archive (APPNOTE.TXT, 4.3.16)."""

LOCATOR_BYTES = 20
"""Of what points to the larger record of Zip64, right before (4.3.15)."""


class Refused(Exception):
    """An archive that is not unpacked; the text says why, after the archive's name."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may come to."""

    unpacked_bytes: int = 1 << 30
    members: int = 10_000
    seconds: float = 120


class _Bounded:
    """The unpacked stream of a .tar.gz, read forward only."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._position, self._deadline = 0, time.monotonic() + limits.seconds

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= AT_ONCE_BYTES:
            raise Refused(f"has a header of {size} bytes")
        data = self._stream.read(size)
        self._position += len(data)
        if self._position > self._limits.unpacked_bytes:
            raise Refused(f"unpacks to more than {self._limits.unpacked_bytes} bytes")
        if time.monotonic() > self._deadline:
            raise Refused(f"takes more than {self._limits.seconds:g} s to unpack")
        return data

    def seek(self, target: int) -> int:
        if target < self._position:
            raise Refused("wants to be read twice")
        while self._position < target and self.read(min(AT_ONCE_BYTES, target - self._position)):
            pass
        return self._position


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> None:
    """A .tar.gz into a folder that is new or empty; Refused, and nothing left of it, where it must
    not be."""
    bounds = limits or Limits()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with gzip.open(archive) as stream:
            bounded = cast("IO[bytes]", _Bounded(cast("BinaryIO", stream), bounds))
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                for count, member in enumerate(tar, start=1):
                    if count > bounds.members:
                        raise Refused(f"has more than {bounds.members} members")
                    _refuse(member, bounds)
                    tar.extract(member, folder, set_attrs=False, **filtering())
            while bounded.read(AT_ONCE_BYTES):  # to the sum at the end, which gzip checks
                pass
    except Refused as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Refused(f"{archive.name} {error}") from error
    # what they raise on a damaged file depends on the place
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Refused(f"{archive.name} is no usable tar.gz: {error}") from error


def filtering() -> dict[str, Any]:
    """The argument for tarfile's own filter, where this Python has one."""
    return {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _refuse(member: tarfile.TarInfo, limits: Limits) -> None:
    """Refuse whatever is not a plain file or folder inside."""
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise Refused(f"holds {member.name[:80]!r}, which is neither a file nor a folder")
    if member.size > limits.unpacked_bytes or member.size < 0:
        raise Refused(f"unpacks to more than {limits.unpacked_bytes} bytes")
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\0" in member.name:
        raise Refused(f"holds {member.name[:80]!r}, which leaves the folder")


def unpack_zip(archive: BinaryIO, folder: Path, limits: Limits | None = None) -> None:
    """A zip archive into a folder; Refused where it must not."""
    bounds = limits or Limits()
    with open_zip(archive, bounds) as packed:
        for item in packed.infolist():
            name = PurePosixPath(item.filename)
            if name.is_absolute() or ".." in name.parts:
                raise Refused(f"holds {item.filename[:80]!r}, which leaves the folder")
        try:
            packed.extractall(folder)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, zlib.error) as error:
            raise Refused(f"is no usable zip archive: {error}") from error


def open_zip(archive: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """A zip archive whose members are bounded; its list of them is, before it is read.

    zipfile never unpacks more of a member than its entry says, so the entries can be added up.
    """
    _refuse_long_list(archive, limits)
    try:
        packed = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise Refused(f"is no usable zip archive: {error}") from error
    size = sum(item.file_size for item in packed.infolist())
    if size > limits.unpacked_bytes:
        raise Refused(f"unpacks to {size} bytes, more than {limits.unpacked_bytes}")
    for item in packed.infolist():
        if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(f"holds {item.filename[:80]!r}, packed in another way than deflate")
    return packed


def _refuse_long_list(archive: BinaryIO, limits: Limits) -> None:
    size = archive.seek(0, 2)
    archive.seek(max(0, size - END_OF_ZIP.size - LOCATOR_BYTES))
    tail = archive.read()
    end = tail[-END_OF_ZIP.size :]
    if len(end) < END_OF_ZIP.size or not end.startswith(b"PK\5\6"):
        raise Refused("is no zip archive, or has a comment")
    _, _, _, _, count, list_bytes, _, _ = END_OF_ZIP.unpack(end)
    if tail.startswith(b"PK\6\7") or count > limits.members or list_bytes > 200 * limits.members:
        raise Refused(f"has more than {limits.members} members")
    archive.seek(0)
