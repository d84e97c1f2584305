"""Archives that would write elsewhere, fill the disk or hold the process, had they their way."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

Write = Callable[[Path], None]
MIB = 1 << 20
BIG_BYTES = 1536 * MIB

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"owned", **fields: object) -> Entry:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    return entry(name, b"", type=kind, linkname=target)


def tar(*entries: Entry) -> Write:
    def write(path: Path) -> None:
        with tarfile.open(path, "w:gz") as out:
            for info, content in entries:
                out.addfile(info, io.BytesIO(content))

    return write


def packed(chunks: Callable[[], Iterable[bytes]]) -> Write:
    """Raw blocks, packed."""

    def write(path: Path) -> None:
        with gzip.open(path, "wb", compresslevel=1) as out:
            for chunk in chunks():
                out.write(chunk)

    return write


def block(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a member, whatever follows it."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(size: int) -> Iterable[bytes]:
    return (bytes(MIB) for _ in range(size // MIB))


def negative(path: Path) -> None:
    head = bytearray(block("a", 0))
    head[124:136] = b"\xff" * 12  # minus one, in base 256
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    packed(lambda: [bytes(head), bytes(1024)])(path)


def cut(path: Path) -> None:
    tar(entry("a", b"x" * 100_000))(path)
    path.write_bytes(path.read_bytes()[:-30])


def wrong_sum(path: Path) -> None:
    tar(entry("a"))(path)
    content = bytearray(path.read_bytes())
    content[-8] ^= 0xFF
    path.write_bytes(content)


def plain(path: Path) -> None:
    with tarfile.open(path, "w") as out:
        info, content = entry("a")
        out.addfile(info, io.BytesIO(content))


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"}
SPARSE |= {"GNU.sparse.realsize": str(800 * 10**9)}

TARS: dict[str, Write] = {
    "path from the root": tar(entry("/tmp/plinth-owned")),
    "path above": tar(entry("../owned")),
    "path above, later": tar(entry("a/b/../../../owned")),
    "link out": tar(link("a", "/etc")),
    "link inside": tar(entry("b"), link("a", "b")),
    "file through a link": tar(link("a", ".."), entry("a/owned")),
    "hard link": tar(link("a", "/etc/passwd", tarfile.LNKTYPE)),
    "hard link inside": tar(entry("b"), link("a", "b", tarfile.LNKTYPE)),
    "character device": tar(entry("a", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "block device": tar(entry("a", b"", type=tarfile.BLKTYPE, devmajor=8)),
    "pipe": tar(entry("model.skops", b"", type=tarfile.FIFOTYPE)),
    "unknown kind": tar(entry("a", b"", type=b"Z")),
    "sparse file of 800 GB": tar(entry("a", b"1\n0\n0\n".ljust(512), pax_headers=SPARSE)),
    "old sparse file": packed(lambda: [block("a", 0, tarfile.GNUTYPE_SPARSE), bytes(1024)]),
    "file of 800 GB": packed(lambda: [block("a", 800 * 10**9), bytes(4096)]),
    "negative size": negative,
    "many members": packed(lambda: (block(f"{number}", 0) for number in range(200_000))),
    "unpacks to 1.5 GB": packed(lambda: [block("a", BIG_BYTES), *zeros(BIG_BYTES)]),
    "many that unpack to 1.5 GB": packed(
        lambda: (b for i in range(48) for b in (block(f"{i}", 32 * MIB), *zeros(32 * MIB)))
    ),
    "name of 1.5 GB": packed(
        lambda: [block("././@LongLink", BIG_BYTES, tarfile.GNUTYPE_LONGNAME), *zeros(BIG_BYTES)]
    ),
    "header of 1.5 GB": packed(
        lambda: [block("a", BIG_BYTES, tarfile.XHDTYPE), *zeros(BIG_BYTES)]
    ),
    "name that is too long": tar(entry("a" * 5000)),
    "file in place of a folder": tar(entry("a"), entry("a/b")),
    "ends early": cut,
    "wrong sum": wrong_sum,
    "not packed": plain,
    "packed in another way": lambda path: void(path.write_bytes(bz2.compress(b"x" * 4096))),
    "no archive": lambda path: void(path.write_bytes(b"#!/bin/sh\n")),
    "nothing": lambda path: void(path.write_bytes(b"")),
    "packed text": lambda path: void(path.write_bytes(gzip.compress(b"no tar" * 1000))),
}  # fmt: skip
"""What is wrong with a .tar.gz -> how it is made."""


def code(
    *names: str, content: Callable[[], bytes] = lambda: b"owned", method: int = zipfile.ZIP_DEFLATED
) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as out:
            for name in names:
                out.writestr(name, content())

    return write


ZIPS: dict[str, Write] = {
    "path from the root": code("/tmp/plinth-owned"),
    "path above": code("a", "../owned"),
    "unpacks to 1.5 GB": code(*"abcdef", content=lambda: bytes(256 * MIB)),
    "many members": code(*map(str, range(11_000)), content=lambda: b""),
    "packed with bzip2": code("a", method=zipfile.ZIP_BZIP2),
    "no archive": lambda path: void(path.write_bytes(b"#!/bin/sh\n")),
}
"""What is wrong with a zip archive of code -> how it is made."""


def void(_: object) -> None:
    """For calls that answer something nobody needs."""
