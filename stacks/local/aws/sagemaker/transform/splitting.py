"""Objects cut into records, and records put together into what one request carries.

Source: TransformInput (SplitType) and CreateTransformJob (BatchStrategy, MaxPayloadInMB), API
reference; the binary formats: MXNet, "RecordIO", and TensorFlow, "TFRecord format details".
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

RECORD_IO_MAGIC = 0xCED7230A
MEGABYTE = 1024 * 1024


class BadRecord(Exception):
    """An object that cannot be cut, or a record that must not be sent; the text says why."""


class Record(NamedTuple):
    """One record."""

    raw: bytes
    """As it stands in the object, with what separates it from the next."""

    bare: bytes
    """Without."""

    original: bytes
    """What `bare` was before a filter."""


def split(stream: BinaryIO, split_type: str) -> Iterator[Record]:
    """The records of an object."""
    return _SPLITTERS[split_type](stream)


def batches(
    records: Iterable[Record], *, single: bool, max_bytes: int | None
) -> Iterator[list[Record]]:
    """Records that go together into one request: one each, or as many as fit.

    `max_bytes`: None where a payload may have any size.
    """
    waiting: list[Record] = []
    size = 0
    for record in records:
        own = len(record.bare if single else record.raw)
        if max_bytes is not None and own > max_bytes:
            raise BadRecord(
                f"Too much data for max payload size: a record of {own} bytes, "
                f"MaxPayloadInMB is {max_bytes // MEGABYTE}"
            )
        full = max_bytes is not None and size + own > max_bytes
        if waiting and (single or full):
            yield waiting
            waiting, size = [], 0
        waiting.append(record)
        size += own
    if waiting:
        yield waiting


def _whole(stream: BinaryIO) -> Iterator[Record]:
    content = stream.read()
    if content:
        yield Record(content, content, content)


def _lines(stream: BinaryIO) -> Iterator[Record]:
    for line in stream:
        bare = line.removesuffix(b"\n").removesuffix(b"\r")
        yield Record(line, bare, bare)


def _record_io(stream: BinaryIO) -> Iterator[Record]:
    """A record whose data holds the magic number is written in parts: first, middle, last."""
    raw, parts = b"", list[bytes]()
    while header := stream.read(8):
        magic, told = struct.unpack("<II", _exactly(header, 8))
        if magic != RECORD_IO_MAGIC:
            raise BadRecord(f"no RecordIO: a record must begin with {RECORD_IO_MAGIC:#x}")
        part, length = told >> 29, told & (1 << 29) - 1
        padded = _exactly(stream.read(length + -length % 4), length + -length % 4)
        raw += header + padded
        parts.append(padded[:length])
        if part in (0, 3):
            bare = struct.pack("<I", magic).join(parts)
            yield Record(raw, bare, bare)
            raw, parts = b"", []
    if parts:
        raise BadRecord("the object ends within a record")


def _tf_record(stream: BinaryIO) -> Iterator[Record]:
    """Length, its checksum, data, its checksum; the checksums are not verified."""
    while header := stream.read(12):
        (length,) = struct.unpack("<Q", _exactly(header, 12)[:8])
        rest = _exactly(stream.read(length + 4), length + 4)
        yield Record(header + rest, rest[:length], rest[:length])


def _exactly(found: bytes, size: int) -> bytes:
    if len(found) != size:
        raise BadRecord("the object ends within a record")
    return found


_SPLITTERS: Mapping[str, Callable[[BinaryIO], Iterator[Record]]] = {
    "None": _whole,
    "Line": _lines,
    "RecordIO": _record_io,
    "TFRecord": _tf_record,
}
