"""Statements that write rows: CREATE TABLE AS and INSERT INTO (Athena user guide, "Create a table
from query results").

Buckets of rows, and tables of others than Hive (Iceberg), are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stacks.local.aws.athena.descriptions import COLUMN, described
from stacks.local.aws.athena.results import as_text
from stacks.local.aws.athena.tables import (
    NO_VALUE,
    QueryFailed,
    Source,
    arrow_type,
    described_table,
    escaped,
)
from stacks.local.aws.athena.unload import Unload, content, file_name
from stacks.local.runtime.s3_files import split_uri

HIVE, QL = "org.apache.hadoop.hive", "org.apache.hadoop.hive.ql.io"
FORMATS: Mapping[str, tuple[str, str, str]] = {
    "JSON": (
        "org.apache.hadoop.mapred.TextInputFormat",
        f"{QL}.HiveIgnoreKeyTextOutputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
    ),
    "ORC": (
        f"{QL}.orc.OrcInputFormat", f"{QL}.orc.OrcOutputFormat", f"{QL}.orc.OrcSerde",
    ),
    "PARQUET": (
        f"{QL}.parquet.MapredParquetInputFormat",
        f"{QL}.parquet.MapredParquetOutputFormat",
        f"{QL}.parquet.serde.ParquetHiveSerDe",
    ),
    "TEXTFILE": (
        "org.apache.hadoop.mapred.TextInputFormat",
        f"{QL}.HiveIgnoreKeyTextOutputFormat",
        f"{HIVE}.serde2.lazy.LazySimpleSerDe",
    ),
}  # fmt: skip
"""Format -> its input, output and serialization classes (user guide, "Choose a SerDe")."""

TAKEN = {"format", "external_location", "partitioned_by", "write_compression", "field_delimiter"}
"""Properties of CREATE TABLE AS that are understood (user guide, "CTAS table properties")."""

PARTITIONS = 100
"""That one statement may write (user guide, "CTAS and INSERT INTO for ETL")."""


class Catalog(Protocol):
    """What whoever asks may change in Glue and S3: each raises QueryFailed where it may not."""

    def create_database(self, name: str) -> None: ...
    def delete_database(self, name: str) -> None: ...
    def create_table(self, database: str, table: Mapping[str, Any], *, replace: bool) -> None: ...
    def delete_table(self, database: str, name: str) -> None: ...
    def create_partition(
        self, database: str, name: str, values: Sequence[str], location: str
    ) -> None: ...
    def write(self, location: str, content: bytes) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One statement, and what it is about."""

    parsed: Any
    database: str
    source: Source
    catalog: Catalog
    place: str
    """Of a new table that names none: a prefix."""

    select: Callable[[str], tuple[Any, int]]
    """A query -> its rows as an Arrow table, and how many bytes were read."""

    def name(self, table: Any) -> tuple[str, str]:
        return (table.db or self.database).lower(), table.name.lower()

    def has(self, database: str, name: str) -> bool:
        held = self.source.databases().get(database)
        return held is not None and name in held.tables


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a statement read and wrote."""

    scanned_bytes: int = 0
    written: Sequence[str] = ()
    """URIs of the files."""


def free(asked: Asked, database: str, name: str, *, replace: bool = False) -> None:
    """QueryFailed where a name is taken, or its database is missing."""
    if database not in asked.source.databases():
        raise QueryFailed(f"SCHEMA_NOT_FOUND: Schema 'awsdatacatalog.{database}' does not exist")
    if asked.has(database, name) and not replace:
        raise QueryFailed(f"TABLE_ALREADY_EXISTS: Table '{database}.{name}' already exists")


def create_as(asked: Asked) -> Done:
    """A table of the rows of a query, its last columns the partitions that it names."""
    parsed = asked.parsed
    database, name = asked.name(parsed.this)
    if asked.has(database, name) and parsed.args.get("exists"):
        return Done()
    free(asked, database, name)
    told = _properties(parsed)
    keys = told.get("partitioned_by", ())
    place = str(told.get("external_location", asked.place)).rstrip("/") + "/"
    if asked.source.objects(*split_uri(place)):
        raise QueryFailed(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table '{database}.{name}' already "
            f"exists: {place}"
        )
    rows, size = asked.select(parsed.expression.sql(dialect="athena"))
    names = [name.lower() for name in rows.column_names]
    if [*names[len(names) - len(keys) :]] != [*keys]:
        raise QueryFailed(
            "HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last columns in the table and "
            f"in the same order as the table properties: {list(keys)}"
        )
    rows = rows.rename_columns(names)
    columns = [{"Name": f.name, "Type": hive_type(f.name, f.type)} for f in rows.schema]
    table = described(
        name,
        columns[: len(columns) - len(keys)],
        columns[len(columns) - len(keys) :],
        location=place,
        classes=FORMATS[told["format"]],
        serde={"field.delim": told["field_delimiter"]} if told["format"] == "TEXTFILE" else {},
    )
    write = Unload(
        query="", place=place, file_format=told["format"], compression=told["write_compression"],
        delimiter=told["field_delimiter"],
    )  # fmt: skip
    files = _written(asked, keys, write, rows)
    asked.catalog.create_table(database, table, replace=False)
    return Done(scanned_bytes=size, written=_listed(asked, (database, name), files))


def _properties(parsed: Any) -> dict[str, Any]:
    """Of CREATE TABLE AS, in lower case; the defaults are the user guide's."""
    from sqlglot import exp

    told: dict[str, Any] = {}
    for one in (parsed.args.get("properties") or exp.Properties(expressions=[])).expressions:
        if isinstance(one, exp.FileFormatProperty):
            told["format"] = one.name.upper()
        elif isinstance(one, exp.PartitionedByProperty):
            told["partitioned_by"] = [key.name.lower() for key in one.this.expressions]
        elif isinstance(one, exp.Property) and one.name.lower() in TAKEN:
            value = one.args["value"]
            many = isinstance(value, exp.Array)
            told[one.name.lower()] = (
                [key.name.lower() for key in value.expressions] if many else value.name
            )
        else:
            raise QueryFailed(f"NOT_SUPPORTED: {one.sql()} is not emulated by the local cloud")
    file_format = told.setdefault("format", "PARQUET")
    if file_format not in FORMATS:
        raise QueryFailed(
            f"NOT_SUPPORTED: format '{file_format}' is not emulated by the local cloud: it writes "
            f"{', '.join(FORMATS)}"
        )
    told.setdefault("write_compression", "zlib" if file_format == "ORC" else "gzip")
    told["write_compression"] = told["write_compression"].lower()
    told.setdefault("field_delimiter", "\x01")
    return told


def hive_type(column: str, kind: Any) -> str:
    """An Arrow type in Hive's words; QueryFailed of one that no column can have here."""
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    for test, told in COLUMN:
        if getattr(pa.types, test)(kind):
            return told
    raise QueryFailed(
        f"NOT_SUPPORTED: column {column} is {kind}, which the local cloud does not write"
    )


def _parts(rows: Any, keys: Sequence[str]) -> list[tuple[list[str], Any]]:
    """The values of each partition, and its rows without them."""
    if not keys:
        return [([], rows)]
    places: dict[tuple[str, ...], list[int]] = {}
    columns = (map(_value, rows.column(key).to_pylist()) for key in keys)
    for place, values in enumerate(zip(*columns, strict=True)):
        places.setdefault(values, []).append(place)
    if len(places) > PARTITIONS:
        raise QueryFailed(
            f"HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of {PARTITIONS} open writers for "
            "partitions/buckets"
        )
    plain = rows.drop_columns([*keys])
    return [([*values], plain.take(of)) for values, of in places.items()]


def _value(value: Any) -> str:
    return as_text(value) or NO_VALUE


def _written(
    asked: Asked, keys: Sequence[str], write: Unload, rows: Any
) -> list[tuple[list[str], str, str]]:
    """A file per partition: its values, its location and the file's URI."""
    files = []
    for values, part in _parts(rows, keys):
        inside = "".join(f"{k}={escaped(v)}/" for k, v in zip(keys, values, strict=True))
        location = f"{write.place}{inside}"
        uri = f"{location}{file_name(write)}"
        asked.catalog.write(uri, content(write, part))
        files.append((values, location, uri))
    return files


def _listed(
    asked: Asked, table: tuple[str, str], files: Sequence[tuple[list[str], str, str]]
) -> list[str]:
    """List the partitions of files that are written; the files."""
    for values, location, _ in files:
        if values:
            asked.catalog.create_partition(*table, values, location)
    return [uri for *_, uri in files]


def insert(asked: Asked) -> Done:
    """A further file below the table's location, of its format."""
    from sqlglot import exp

    parsed, table = asked.parsed, asked.name(asked.parsed.this.find(exp.Table))
    told = described_table(asked.source, *table)
    stored = told["StorageDescriptor"]
    library = stored.get("SerdeInfo", {}).get("SerializationLibrary", "")
    file_format = next((name for name, one in FORMATS.items() if one[2] == library), "")
    if not file_format:
        raise QueryFailed(
            f"NOT_SUPPORTED: INSERT INTO a table of {library or 'no format'} is not emulated by "
            "the local cloud"
        )
    query = parsed.expression.sql(dialect="athena")
    if isinstance(parsed.expression, exp.Values):
        query = f"SELECT * FROM ({query})"
    rows, size = asked.select(query)
    columns = [*stored["Columns"], *told.get("PartitionKeys", ())]
    named = parsed.this.expressions if isinstance(parsed.this, exp.Schema) else ()
    rows = _fitted(rows, columns, [one.name.lower() for one in named])
    delimiter = stored["SerdeInfo"].get("Parameters", {}).get("field.delim", "\x01")
    write = Unload(
        query="", place=stored["Location"].rstrip("/") + "/", file_format=file_format,
        compression="zlib" if file_format == "ORC" else "gzip", delimiter=delimiter,
    )  # fmt: skip
    keys = [key["Name"] for key in told.get("PartitionKeys", ())]
    written = _listed(asked, table, _written(asked, keys, write, rows))
    return Done(scanned_bytes=size, written=written)


def _fitted(rows: Any, columns: Sequence[Mapping[str, str]], named: Sequence[str]) -> Any:
    """Rows as a table has them; columns that the statement does not name are empty."""
    import pyarrow as pa

    schema = pa.schema([(one["Name"].lower(), arrow_type(one)) for one in columns])
    names = named or schema.names
    if rows.num_columns != len(names) or not {*names} <= {*schema.names}:
        raise QueryFailed(
            f"MISMATCHED_COLUMN_TYPES: Insert query has mismatched column types: the table has "
            f"{', '.join(schema.names)}, the query {rows.num_columns} columns"
        )
    held = rows.rename_columns(names)
    nothing = pa.nulls(rows.num_rows)
    arrays = [held.column(one) if one in names else nothing for one in schema.names]
    try:
        return pa.table(arrays, names=schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        told = f"TYPE_MISMATCH: Insert query has mismatched column types: {error}"
        raise QueryFailed(told) from None
