"""Tables of Glue as Arrow tables: the objects below their location, typed by their columns.

Partitions are read off the keys (`year=2026/month=05/`), whether or not Glue lists them: Athena
needs them listed, by MSCK REPAIR TABLE or by whoever writes them.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from stacks.local.runtime.s3_files import split_uri

PARTITION = re.compile(r"([^/=]+)=([^/]*)/")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Value of a partition whose rows have none (Hive, configuration properties,
hive.exec.default.partition.name)."""

UNSAFE = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")
UNPACKED_BYTES = 10**9
"""Most that one packed object may hold: what a query may take in DuckDB."""

DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")


class QueryFailed(Exception):
    """A query ends FAILED; the text is its StateChangeReason, in Athena's words where known."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where tables and objects are."""

    databases: Callable[[], Mapping[str, Any]]
    """Name -> moto's database of Glue."""

    objects: Callable[[str, str], Mapping[str, bytes]]
    """Bucket and prefix -> key -> body; QueryFailed where whoever asks may not read them."""


def table_of(source: Source, database: str, name: str) -> tuple[Any, int]:
    """A table of Glue with its rows, and how many bytes were read.

    Raises QueryFailed where there is none, and where its format is not read here.
    """
    return _rows(source, described_table(source, database, name))


def described_table(source: Source, database: str, name: str) -> Mapping[str, Any]:
    """A table as Glue describes it; QueryFailed where there is none."""
    held = source.databases().get(database)
    found = held.tables.get(name) if held is not None else None
    if found is None:
        what = "Schema" if held is None else "Table"
        full = f"awsdatacatalog.{database}" if held is None else f"awsdatacatalog.{database}.{name}"
        code = "SCHEMA_NOT_FOUND" if held is None else "TABLE_NOT_FOUND"
        raise QueryFailed(f"{code}: {what} '{full}' does not exist")
    told: Mapping[str, Any] = found.get_version(str(found._current_version))
    return told


def _rows(source: Source, table: Mapping[str, Any]) -> tuple[Any, int]:
    import pyarrow as pa

    stored = table.get("StorageDescriptor", {})
    columns = {column["Name"].lower(): arrow_type(column) for column in stored.get("Columns", ())}
    partitions = {key["Name"].lower(): arrow_type(key) for key in table.get("PartitionKeys", ())}
    read = _reader(stored, table.get("Parameters") or {})
    bucket, prefix = split_uri(stored.get("Location", "").rstrip("/") + "/")
    parts, size = [], 0
    for key, body in sorted(source.objects(bucket, prefix).items()):
        if not body or key.rpartition("/")[2].startswith(("_", ".")):
            continue  # hidden from Hive
        size += len(body)
        got = read(_unpacked(key, body), list(columns))
        values = {n.lower(): unquote(v) for n, v in PARTITION.findall(key.removeprefix(prefix))}
        values = {n: v for n, v in values.items() if v != NO_VALUE}
        parts.append(_typed(got, columns, partitions, values))
    schema = pa.schema([*columns.items(), *partitions.items()])
    return pa.concat_tables([schema.empty_table(), *parts]), size


def _unpacked(key: str, body: bytes) -> bytes:
    """What an object holds; QueryFailed where that is no gzip, or more than a query may take."""
    if not key.endswith(".gz"):
        return body
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            plain = stream.read(UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise QueryFailed(f"HIVE_CURSOR_ERROR: {key} must be gzip, got {error}") from None
    if len(plain) > UNPACKED_BYTES:
        raise QueryFailed(
            f"EXCEEDED_LOCAL_MEMORY_LIMIT: {key} must unpack to at most {UNPACKED_BYTES} bytes"
        )
    return plain


def escaped(value: str) -> str:
    """A partition's value in a key (Hive, FileUtils.escapePathName)."""
    return UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", value)


def _typed(
    got: Any, columns: Mapping[str, Any], partitions: Mapping[str, Any], values: Mapping[str, str]
) -> Any:
    """One object's rows with the table's columns, those that it lacks empty."""
    import pyarrow as pa

    held = {name.lower(): got.column(name) for name in got.column_names}
    count = got.num_rows
    arrays = []
    for name, kind in columns.items():
        column = held.get(name)
        try:
            arrays.append(pa.nulls(count, kind) if column is None else column.cast(kind))
        except pa.ArrowInvalid as error:
            raise QueryFailed(f"HIVE_BAD_DATA: column {name} must be {kind}, got {error}") from None
    for name, kind in partitions.items():
        arrays.append(pa.array([values.get(name)] * count, pa.string()).cast(kind))
    return pa.Table.from_arrays(
        [pa.chunked_array([a]) if isinstance(a, pa.Array) else a for a in arrays],
        schema=pa.schema([*columns.items(), *partitions.items()]),
    )


def arrow_type(column: Mapping[str, str]) -> Any:
    """Of a column's type in Hive's words; QueryFailed of one that holds others."""
    import pyarrow as pa

    kind = column.get("Type", "string").lower()
    if decimal := DECIMAL.fullmatch(kind):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    kinds = {
        "bigint": pa.int64(), "binary": pa.binary(), "boolean": pa.bool_(), "date": pa.date32(),
        "double": pa.float64(), "float": pa.float32(), "int": pa.int32(), "integer": pa.int32(),
        "smallint": pa.int16(), "string": pa.string(), "timestamp": pa.timestamp("us"),
        "tinyint": pa.int8(),
    }  # fmt: skip
    plain = "string" if kind.startswith(("varchar", "char")) else kind
    if plain not in kinds:
        raise QueryFailed(
            f"NOT_SUPPORTED: column {column['Name']} is {kind}, which the local cloud does not read"
        )
    return kinds[plain]


def _reader(
    stored: Mapping[str, Any], properties: Mapping[str, Any]
) -> Callable[[bytes, Sequence[str]], Any]:
    """What reads an object of this format: body and names of columns -> Arrow table."""
    serde = stored.get("SerdeInfo", {})
    library, parameters = serde.get("SerializationLibrary", ""), serde.get("Parameters", {})
    if "parquet" in library.lower():
        return _parquet
    if "orc" in library.lower():
        return _orc
    if "json" in library.lower():
        return _json
    if library.endswith(("OpenCSVSerde", "LazySimpleSerDe")):
        default = "," if library.endswith("OpenCSVSerde") else "\x01"
        delimiter = next(
            (parameters[n] for n in ("separatorChar", "field.delim") if n in parameters), default
        )
        told = {**properties, **stored.get("Parameters", {}), **parameters}
        skip = told.get("skip.header.line.count", "0")
        nulls = ["\\N"] if library.endswith("LazySimpleSerDe") else []
        return lambda body, names: _csv(body, names, str(delimiter), int(skip), nulls)
    raise QueryFailed(
        "NOT_SUPPORTED: the local cloud reads Parquet, ORC, JSON and CSV, got "
        f"{library or 'no format'}"
    )


def _parquet(body: bytes, names: Sequence[str]) -> Any:
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(body), partitioning=None)


def _orc(body: bytes, names: Sequence[str]) -> Any:
    from pyarrow import orc

    return orc.read_table(io.BytesIO(body))


def _json(body: bytes, names: Sequence[str]) -> Any:
    from pyarrow import json

    return json.read_json(io.BytesIO(body))


def _csv(body: bytes, names: Sequence[str], delimiter: str, skip: int, nulls: Sequence[str]) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    return csv.read_csv(
        io.BytesIO(body),
        read_options=csv.ReadOptions(column_names=names, skip_rows=skip),
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=nulls,
            strings_can_be_null=True,
        ),
    )


def names_of(databases: Mapping[str, Any], database: str) -> Iterable[str]:
    """Tables of a database, in order; QueryFailed where there is none."""
    if database not in databases:
        raise QueryFailed(f"SCHEMA_NOT_FOUND: Schema 'awsdatacatalog.{database}' does not exist")
    return sorted(databases[database].tables)
