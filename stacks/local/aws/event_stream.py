"""AWS's event streams (`application/vnd.amazon.eventstream`): one message as bytes.

A message is its total length, the length of its headers, a CRC-32 of both, headers, payload, and a
CRC-32 of all of it. Headers here are texts (type 7).
"""

import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
TEXT = 7
AROUND = 16
"""Bytes of a message beside headers and payload."""


def event(name: str, payload: bytes) -> bytes:
    """Part of an answer."""
    told = {":event-type": name, ":content-type": "application/octet-stream"}
    return message({**told, ":message-type": "event"}, payload)


def exception(name: str, payload: bytes) -> bytes:
    """A modelled error in the middle of an answer, as JSON."""
    told = {":exception-type": name, ":content-type": "application/json"}
    return message({**told, ":message-type": "exception"}, payload)


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message of these headers and this payload."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", TEXT, len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    begin = struct.pack("!II", AROUND + len(packed) + len(payload), len(packed))
    begin += struct.pack("!I", zlib.crc32(begin))
    whole = begin + packed + payload
    return whole + struct.pack("!I", zlib.crc32(whole))
