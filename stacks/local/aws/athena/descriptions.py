"""Tables as Glue describes them, and what DESCRIBE, SHOW and views say of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from stacks.local.aws.athena.tables import QueryFailed

VIEW_MARK = "/* Presto View: "
"""Before the description of a view (Trino, Hive connector, ViewReaderUtil)."""

COLUMN = (
    ("is_boolean", "boolean"), ("is_int8", "tinyint"), ("is_int16", "smallint"),
    ("is_int32", "int"), ("is_integer", "bigint"), ("is_float32", "float"),
    ("is_floating", "double"), ("is_string", "string"), ("is_large_string", "string"),
    ("is_date", "date"), ("is_timestamp", "timestamp"), ("is_binary", "binary"),
    ("is_null", "string"),
)  # fmt: skip
"""Test of pyarrow.types -> type of a column in Hive's words; the first that holds."""

WIDTH = 20
"""Of a column of DESCRIBE, which is filled up with spaces."""


def described(
    name: str,
    columns: Sequence[Mapping[str, str]],
    partitions: Sequence[Mapping[str, str]],
    *,
    location: str,
    classes: tuple[str, str, str],
    serde: Mapping[str, str],
    others: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A TableInput of Glue (Glue API reference)."""
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", **(others or {})},
        "PartitionKeys": [*partitions],
        "StorageDescriptor": {
            "Columns": [*columns],
            "Location": location,
            "InputFormat": classes[0],
            "OutputFormat": classes[1],
            "SerdeInfo": {"SerializationLibrary": classes[2], "Parameters": {**serde}},
        },
    }


def view_of(table: Mapping[str, Any]) -> tuple[str, str] | None:
    """Query and database of a view; None: the table is none."""
    if table.get("TableType") != "VIRTUAL_VIEW":
        return None
    text = table.get("ViewOriginalText") or ""
    if not text.startswith(VIEW_MARK):
        raise QueryFailed("HIVE_INVALID_VIEW_DATA: the view was not made by Athena")
    told = json.loads(base64.b64decode(text.removeprefix(VIEW_MARK).removesuffix("*/")))
    return told["originalSql"], told.get("schema", "default")


def columns_of(table: Mapping[str, Any]) -> list[list[str | None]]:
    """DESCRIBE: a line per column, the partitions once more below."""
    keys = table.get("PartitionKeys", ())
    lines = [_line(one) for one in [*table["StorageDescriptor"]["Columns"], *keys]]
    if keys:
        head = ["", "# Partition Information", "# col_name            data_type           comment"]
        lines = [*lines, *head, *(_line(one) for one in keys)]
    return [[line] for line in lines]


def _line(column: Mapping[str, str]) -> str:
    told = (column["Name"], column.get("Type", "string"), column.get("Comment", ""))
    return "\t".join(value.ljust(WIDTH) for value in told)


def statement_of(database: str, table: Mapping[str, Any]) -> list[list[str | None]]:
    """SHOW CREATE TABLE: the statement that makes it, a row per line."""
    if view := view_of(table):
        return [[f"CREATE VIEW {database}.{table['Name']} AS"], [view[0]]]
    stored, keys = table["StorageDescriptor"], table.get("PartitionKeys", ())
    serde = stored.get("SerdeInfo", {})
    lines = [f"CREATE EXTERNAL TABLE `{database}.{table['Name']}`(", *_columns(stored["Columns"])]
    if keys:
        lines += ["PARTITIONED BY (", *_columns(keys)]
    lines += ["ROW FORMAT SERDE", f"  '{serde.get('SerializationLibrary', '')}'"]
    if serde.get("Parameters"):
        lines += ["WITH SERDEPROPERTIES (", *_pairs(serde["Parameters"])]
    lines += [
        "STORED AS INPUTFORMAT", f"  '{stored.get('InputFormat', '')}'",
        "OUTPUTFORMAT", f"  '{stored.get('OutputFormat', '')}'",
        "LOCATION", f"  '{stored.get('Location', '')}'",
    ]  # fmt: skip
    others = {n: v for n, v in table.get("Parameters", {}).items() if n != "EXTERNAL"}
    if others:
        lines += ["TBLPROPERTIES (", *_pairs(others)]
    return [[line] for line in lines]


def _columns(columns: Sequence[Mapping[str, str]]) -> list[str]:
    return _closed([f"  `{one['Name']}` {one.get('Type', 'string')}" for one in columns])


def _pairs(pairs: Mapping[str, str]) -> list[str]:
    return _closed([f"  '{name}'='{value}'" for name, value in pairs.items()])


def _closed(lines: Sequence[str]) -> list[str]:
    return [f"{line}{',' if number < len(lines) else ')'}" for number, line in enumerate(lines, 1)]


def partitions_of(
    table: Mapping[str, Any], values: Sequence[Sequence[str]]
) -> list[list[str | None]]:
    """SHOW PARTITIONS: `year=2026/month=05`."""
    keys = [key["Name"] for key in table.get("PartitionKeys", ())]
    if not keys:
        raise QueryFailed(
            f"SemanticException [Error 10241]: Table {table['Name']} is not a partitioned table"
        )
    shown = ("/".join(f"{k}={v}" for k, v in zip(keys, one, strict=True)) for one in values)
    return [[one] for one in sorted(shown)]
