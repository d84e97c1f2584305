"""What columns a file of a data lake has: CSV, JSON and Parquet, as DuckDB reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMORY = "1GB"
KINDS = ("parquet", "json", "csv")

PLAIN: Mapping[str, str] = {
    "BIGINT": "bigint", "BLOB": "binary", "BOOLEAN": "boolean", "DATE": "date", "DOUBLE": "double",
    "FLOAT": "float", "HUGEINT": "decimal(38,0)", "INTEGER": "int", "SMALLINT": "smallint",
    "TINYINT": "tinyint", "UINTEGER": "bigint", "USMALLINT": "int", "UTINYINT": "smallint",
    "VARCHAR": "string",
}  # fmt: skip
"""Type of DuckDB -> type of Hive; moments and others follow by their names."""

OF_TEXT = ("date", "timestamp")
"""Types that a text file does not have: Glue's classifiers of CSV and JSON call them strings."""


class Unreadable(Exception):
    """A file is none of these; the text says what DuckDB says."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Columns of a file, by the names and types of Hive."""

    kind: str
    columns: tuple[tuple[str, str], ...]
    delimiter: str = field(default=",", compare=False)
    has_header: bool = True


def read(path: Path) -> Schema:
    """The schema of a file; Unreadable where it is nothing that is known here."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.execute(f"SET memory_limit='{MEMORY}'")
    connection.execute("SET allowed_directories=[?]", [f"{path.parent}/"])
    connection.execute("SET enable_external_access=false")
    kind = _kind(path)
    try:
        with connection:
            return _csv(connection, path) if kind == "csv" else _others(connection, kind, path)
    except duckdb.Error as error:
        raise Unreadable(f"{error}".splitlines()[0]) from error


def _kind(path: Path) -> str:
    """By its content: Parquet begins so, JSON with a brace or bracket."""
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as stream:
            head = stream.read(1024)
    except (OSError, EOFError) as error:
        raise Unreadable(f"{path.name}: {error}") from error
    if head.startswith(b"PAR1"):
        return "parquet"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "csv"


def _csv(connection: Any, path: Path) -> Schema:
    told = "SELECT Delimiter, HasHeader, Columns FROM sniff_csv(?)"
    delimiter, header, columns = connection.execute(told, [str(path)]).fetchone()
    names = [(one["name"] if header else f"col{at}", one) for at, one in enumerate(columns)]
    shown = tuple((name.lower(), _text(hive(one["type"]))) for name, one in names)
    return Schema(kind="csv", columns=shown, delimiter=delimiter, has_header=bool(header))


def _others(connection: Any, kind: str, path: Path) -> Schema:
    function = "read_parquet" if kind == "parquet" else "read_json_auto"
    rows = connection.execute(f"DESCRIBE SELECT * FROM {function}(?)", [str(path)]).fetchall()
    text = kind == "json"
    shown = tuple((row[0].lower(), _text(hive(row[1])) if text else hive(row[1])) for row in rows)
    return Schema(kind=kind, columns=shown)


def _text(kind: str) -> str:
    return "string" if kind in OF_TEXT else kind


def hive(kind: str) -> str:
    """A type of DuckDB's in Hive's words."""
    if kind.endswith("[]"):
        return f"array<{hive(kind[:-2])}>"
    if kind.startswith("STRUCT("):
        inner = ((name.strip('"'), hive(of)) for name, of in map(_named, _parts(kind[7:-1])))
        return f"struct<{','.join(f'{name}:{of}' for name, of in inner)}>"
    if kind.startswith("MAP("):
        return f"map<{','.join(hive(part) for part in _parts(kind[4:-1]))}>"
    if found := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", kind):
        return f"decimal({found[1]},{found[2]})"
    if kind.startswith("TIMESTAMP"):
        return "timestamp"
    return PLAIN.get(kind, "string")


def _parts(text: str) -> Iterator[str]:
    """What commas outside of brackets and quotes part."""
    depth, quoted, begin = 0, False, 0
    for at, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += (letter in "([") - (letter in ")]") if not quoted else 0
        if letter == "," and not depth and not quoted:
            yield text[begin:at].strip()
            begin = at + 1
    yield text[begin:].strip()


def _named(text: str) -> tuple[str, str]:
    """Name and type of a member of a structure."""
    if text.startswith('"'):
        name, _, kind = text[1:].partition('" ')
        return name, kind.strip()
    name, _, kind = text.partition(" ")
    return name, kind.strip()
