"""A skops file before it is loaded: what it may unpack to, hold in memory and make.

A skops file is a zip archive of a schema and of arrays. Each says how large it is, and may lie: a
header of a hundred bytes makes numpy ask for terabytes. So every size is compared with what is
there, and what the schema may ask for is a list.
"""

import json
import math
import resource
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from serving.signature import ArtefactRefused

SCHEMA = "schema.json"
FILE_BYTES = 1 << 30
"""Of the file, and of what its members unpack to."""
SCHEMA_BYTES = 32 << 20
"""Some hundred times what a model of a thousand trees needs."""
MEMBERS = 20_000
NODES = 1_000_000
MEMORY_BYTES = 4 << 30
"""Address space that loading may take beyond what the process has."""

LOADERS = frozenset((
    "DictNode", "JsonNode", "ListNode", "LossNode", "NdArrayNode", "ObjectNode",
    "RandomGeneratorNode", "TupleNode", "TypeNode",
))  # fmt: skip
"""How skops makes what a model of ours consists of; its others call functions by name."""

END_OF_ZIP = struct.Struct("<4s4H2LH")
"""The record that ends a zip archive (APPNOTE.TXT, 4.3.16), and 20 bytes before it the locator of
Zip64 where there is one (4.3.15)."""
LOCATOR_BYTES = 20


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a skops file says it holds."""

    types: frozenset[str]
    """Every type that its schema names."""

    loaders: frozenset[str]
    """How it says that they are made."""


def read(path: Path) -> Content:
    """The schema of a skops file, after everything in it was measured."""
    size = path.stat().st_size
    if size > FILE_BYTES:
        raise ArtefactRefused(f"{path.name} has {size} bytes, more than {FILE_BYTES}: too large")
    _refuse_long_list(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _measured(archive, path.name)
            schema = json.loads(archive.read(SCHEMA))
            for name in members:
                if name != SCHEMA:
                    with archive.open(name) as stream:
                        _check_array(stream, members[name].file_size, f"{path.name}: {name}")
    except (
        zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, OSError, RecursionError,
        RuntimeError, ValueError, zlib.error,
    ) as error:  # fmt: skip
        raise ArtefactRefused(
            f"{path.name} is not a skops file ({error}); pickles are never loaded"
        ) from error
    return _content(schema, members, path.name)


@contextmanager
def bounded_memory(more_bytes: int = MEMORY_BYTES) -> Iterator[None]:
    """Let this process take so much more address space: beyond it, asking is a MemoryError."""
    statm = Path("/proc/self/statm")
    if not statm.exists():  # not Linux: a person's machine
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(statm.read_text().split()[0])
    bound = pages * resource.getpagesize() + more_bytes
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _refuse_long_list(path: Path) -> None:
    """Refuse an archive whose list of members would fill the memory before one is looked at."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - END_OF_ZIP.size - LOCATOR_BYTES))
        tail = file.read()
    end = tail[-END_OF_ZIP.size :]
    if len(end) < END_OF_ZIP.size or not end.startswith(b"PK\5\6"):
        raise ArtefactRefused(f"{path.name} is not a skops file; pickles are never loaded")
    _, _, _, _, count, list_bytes, _, _ = END_OF_ZIP.unpack(end)
    if tail.startswith(b"PK\6\7") or count > MEMBERS or list_bytes > 200 * MEMBERS:
        raise ArtefactRefused(f"{path.name} has more than {MEMBERS} members")


def _measured(archive: zipfile.ZipFile, name: str) -> Mapping[str, zipfile.ZipInfo]:
    """The members by name; zipfile never unpacks more of one than its entry says."""
    items = archive.infolist()
    members = {item.filename: item for item in items}
    size = sum(item.file_size for item in items)
    if size > FILE_BYTES:
        raise ArtefactRefused(f"{name} unpacks to {size} bytes: too large")
    if len(members) != len(items):
        raise ArtefactRefused(f"{name} holds two members of one name")
    if members[SCHEMA].file_size > SCHEMA_BYTES:
        told = f"its schema has {members[SCHEMA].file_size} bytes, more than {SCHEMA_BYTES}"
        raise ArtefactRefused(f"{name}: {told}: too large")
    for item in items:
        if item.filename != SCHEMA and not item.filename.endswith(".npy"):
            raise ArtefactRefused(f"{name} holds {item.filename[:80]!r}, which is no array")
        if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArtefactRefused(f"{name}: {item.filename[:80]!r} is packed in an unknown way")
    return members


def _check_array(stream: IO[bytes], size: int, where: str) -> None:
    """Compare what the header of an array promises with the bytes that follow it."""
    from numpy.lib import format as npy

    if npy.read_magic(stream) != (1, 0):
        raise ArtefactRefused(f"{where} must be an array in version 1.0 of the format")
    shape, _, kind = npy.read_array_header_1_0(stream)
    held = size - stream.tell()
    if kind.hasobject or not kind.itemsize or min(shape, default=0) < 0:
        raise ArtefactRefused(f"{where} must be an array of numbers, got {kind} {shape}")
    promised = math.prod(shape) * kind.itemsize
    if promised != held:
        raise ArtefactRefused(f"{where} promises {promised} bytes of {shape}, and holds {held}")


def _content(schema: Any, members: Mapping[str, Any], name: str) -> Content:
    """What a schema names; refused where it makes more of something than the file has."""
    types: set[str] = set()
    loaders: set[str] = set()
    arrays: dict[str, Any] = {}
    waiting, seen = [schema], 0
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            seen += 1
            if "__class__" in item or "__module__" in item:
                types.add(f"{item.get('__module__')}.{item.get('__class__')}")
            if "__loader__" in item:
                loaders.add(str(item["__loader__"])[:80])
            _check_node(item, arrays, members, name)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    if seen > NODES:
        raise ArtefactRefused(f"{name}: its schema makes {seen} things, more than {NODES}")
    return Content(types=frozenset(types), loaders=frozenset(loaders))


def _check_node(
    node: Mapping[str, Any], arrays: dict[str, Any], members: Mapping[str, Any], name: str
) -> None:
    if node.get("__loader__") == "NdArrayNode":
        file = node.get("file")
        if node.get("type") != "numpy" or not isinstance(file, str) or file not in members:
            raise ArtefactRefused(f"{name}: an array must be in a file of its own, got {file!r}")
        identity = node.get("__id__")  # what has one is made once, whatever names it again
        if arrays.setdefault(file, identity) != identity or not identity:
            raise ArtefactRefused(f"{name}: {file[:80]!r} is used twice, or has no number")
    pool = node.get("pool_size")
    if isinstance(pool, dict) and pool.get("content") != "4":
        # numpy mixes it in time that grows with its square
        raise ArtefactRefused(f"{name}: the pool of a generator must have 4 words")
