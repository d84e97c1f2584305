"""Tables of the catalogue as a crawler writes them.

Sources: Glue developer guide, "Parameters set on Data Catalog tables by crawler"; Athena user
guide, "Supported SerDes and data formats".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from stacks.local.runtime.table_schemas import Schema

TEXT = "org.apache.hadoop.mapred.TextInputFormat"
TEXT_OUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
BATCH = 100
"""Most partitions of one call."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A folder of files that is a table."""

    bucket: str
    prefix: str
    schema: Schema
    objects: Sequence[tuple[str, int]]
    """Keys and sizes."""

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def partitions(self) -> dict[str, list[str]]:
        """Folder of a partition -> its values."""
        folders = {key.removeprefix(self.prefix).rpartition("/")[0] for key, _ in self.objects}
        return {
            folder: [unquote(part.partition("=")[2]) for part in folder.split("/")]
            for folder in sorted(folders)
            if folder
        }

    def partition_names(self) -> list[str]:
        first = next(iter(self.partitions()), "")
        return [part.partition("=")[0].lower() for part in first.split("/")] if first else []


def keep(glue: Any, crawler: Any, found: Found) -> None:
    """Make the table or change it, and add its partitions."""
    database, name = crawler.database_name, _name(crawler, found)
    given = _table(crawler, found, name)
    try:
        glue.get_table(DatabaseName=database, Name=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityNotFoundException":
            raise
        glue.create_table(DatabaseName=database, TableInput=given)
    else:
        update = (crawler.schema_change_policy or {}).get("UpdateBehavior", "UPDATE_IN_DATABASE")
        if update == "UPDATE_IN_DATABASE":
            glue.update_table(DatabaseName=database, TableInput=given)
    held = glue.get_partitions(DatabaseName=database, TableName=name)["Partitions"]
    there = [one["Values"] for one in held]
    new = [
        {"Values": values, "StorageDescriptor": _storage(found, f"{found.location}{folder}/")}
        for folder, values in found.partitions().items()
        if values not in there
    ]
    for begin in range(0, len(new), BATCH):
        glue.batch_create_partition(
            DatabaseName=database, TableName=name, PartitionInputList=new[begin : begin + BATCH]
        )


def _name(crawler: Any, found: Found) -> str:
    last = found.prefix.rstrip("/").rpartition("/")[2] or found.bucket
    return f"{crawler.table_prefix or ''}{re.sub('[^a-z0-9_]', '_', last.lower())}"


def _table(crawler: Any, found: Found, name: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Owner": "owner",
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": _storage(found, found.location),
        "PartitionKeys": [{"Name": one, "Type": "string"} for one in found.partition_names()],
        "Parameters": {**_parameters(found), "UPDATED_BY_CRAWLER": crawler.name},
    }


def _storage(found: Found, location: str) -> dict[str, Any]:
    schema = found.schema
    return {
        "Columns": [{"Name": name, "Type": kind} for name, kind in schema.columns],
        "Location": location,
        "Compressed": found.objects[0][0].endswith(".gz"),
        "NumberOfBuckets": -1,
        **_format(schema),
        "Parameters": _parameters(found),
        "StoredAsSubDirectories": False,
    }


def _format(schema: Schema) -> dict[str, Any]:
    if schema.kind == "parquet":
        library, given = f"{PARQUET}.serde.ParquetHiveSerDe", {"serialization.format": "1"}
        return {
            "InputFormat": f"{PARQUET}.MapredParquetInputFormat",
            "OutputFormat": f"{PARQUET}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": library, "Parameters": given},
        }
    if schema.kind == "json":
        library = "org.openx.data.jsonserde.JsonSerDe"
        given = {"paths": ",".join(sorted(name for name, _ in schema.columns))}
    else:
        library = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
        given = {"field.delim": schema.delimiter}
    info = {"SerializationLibrary": library, "Parameters": given}
    return {"InputFormat": TEXT, "OutputFormat": TEXT_OUT, "SerdeInfo": info}


def _parameters(found: Found) -> Mapping[str, str]:
    schema = found.schema
    packed = "gzip" if found.objects[0][0].endswith(".gz") else "none"
    told = {
        "classification": schema.kind,
        "compressionType": packed,
        "typeOfData": "file",
        "objectCount": str(len(found.objects)),
        "sizeKey": str(sum(size for _, size in found.objects)),
    }
    if schema.kind != "csv":
        return told
    header = {"skip.header.line.count": "1"} if schema.has_header else {}
    return {**told, **header, "delimiter": schema.delimiter, "columnsOrdered": "true"}
