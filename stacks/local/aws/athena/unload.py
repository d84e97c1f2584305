"""UNLOAD: the rows of a query as files in S3 (Athena user guide, "UNLOAD").

Format, compression and delimiter are those of the statement; partitions and Avro are refused.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.athena.results import as_text
from stacks.local.aws.athena.tables import QueryFailed

STATEMENT = re.compile(
    r"\s*UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<place>[^']+)'\s*WITH\s*\((?P<options>[^()]*)\)\s*",
    re.IGNORECASE | re.DOTALL,
)
OPTION = re.compile(r"\s*(\w+)\s*=\s*'([^']*)'\s*")
KNOWN = {"format", "compression", "field_delimiter"}
NULL, DELIMITER = "\\N", "\x01"
"""Of text files, as Hive writes them."""


@dataclass(frozen=True, kw_only=True)
class Unload:
    """What a statement asks for."""

    query: str
    place: str
    """Of the files: a prefix."""

    file_format: str
    compression: str
    delimiter: str


def unload_of(sql: str) -> Unload | None:
    """The statement, where it is one; QueryFailed where it asks for what is not built."""
    found = STATEMENT.fullmatch(sql.rstrip().removesuffix(";"))
    if found is None:
        return None
    options: dict[str, str] = {}
    for option in found["options"].split(","):
        said = OPTION.fullmatch(option)
        if said is None or said[1].lower() not in KNOWN:
            raise QueryFailed(f"NOT_SUPPORTED: {option.strip()} is not emulated by the local cloud")
        options[said[1].lower()] = said[2]
    file_format = options.get("format", "").upper()
    if file_format not in WRITERS:
        raise QueryFailed(
            f"NOT_SUPPORTED: format '{file_format}' is not emulated by the local cloud: it writes "
            f"{', '.join(WRITERS)}"
        )
    return Unload(
        query=found["query"],
        place=found["place"].rstrip("/") + "/",
        file_format=file_format,
        compression=options.get("compression", "zlib" if file_format == "ORC" else "gzip").lower(),
        delimiter=options.get("field_delimiter", DELIMITER),
    )


def file_name(asked: Unload) -> str:
    """Of a new file: the time and what nobody else has."""
    packed = asked.compression == "gzip" and asked.file_format in ("JSON", "TEXTFILE")
    return f"{datetime.now(UTC):%Y%m%d_%H%M%S}_{secrets.token_hex(8)}{'.gz' if packed else ''}"


def content(asked: Unload, rows: Any) -> bytes:
    """The file of an Arrow table."""
    try:
        return WRITERS[asked.file_format](asked, rows)
    except (OSError, ValueError) as error:  # pyarrow's of a compression that a format lacks
        raise QueryFailed(f"INVALID_TABLE_PROPERTY: {error}") from None


def _parquet(asked: Unload, rows: Any) -> bytes:
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(rows, out, compression=asked.compression)
    return out.getvalue()


def _orc(asked: Unload, rows: Any) -> bytes:
    from pyarrow import orc

    out = io.BytesIO()
    orc.write_table(rows, out, compression=asked.compression)
    return out.getvalue()


def _json(asked: Unload, rows: Any) -> bytes:
    return _packed(asked, [json.dumps(row, default=as_text) for row in rows.to_pylist()])


def _text(asked: Unload, rows: Any) -> bytes:
    lines = []
    for row in rows.to_pylist():
        texts = [as_text(value) for value in row.values()]
        lines.append(asked.delimiter.join(NULL if text is None else text for text in texts))
    return _packed(asked, lines)


def _packed(asked: Unload, lines: list[str]) -> bytes:
    body = "".join(f"{line}\n" for line in lines).encode()
    if asked.compression == "none":
        return body
    if asked.compression != "gzip":
        raise QueryFailed(
            f"NOT_SUPPORTED: compression '{asked.compression}' of {asked.file_format} is not "
            "emulated by the local cloud"
        )
    return gzip.compress(body)


WRITERS: Mapping[str, Callable[[Unload, Any], bytes]] = {
    "JSON": _json,
    "ORC": _orc,
    "PARQUET": _parquet,
    "TEXTFILE": _text,
}
