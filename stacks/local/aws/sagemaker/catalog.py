"""The table of a feature group's offline store in Glue, by which Athena and Spark read it.

SageMaker makes it unless the request says DisableGlueTableCreation, and leaves it when the group is
deleted (developer guide, "Amazon SageMaker Feature Store Offline Store"; "Delete a feature group").
"""

from collections.abc import Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.store import Resource

CATALOG, DATABASE = "AwsDataCatalog", "sagemaker_featurestore"
TYPES = {"Integral": "bigint", "Fractional": "double", "String": "string"}
ADDED = (
    ("write_time", "timestamp"),
    ("api_invocation_time", "timestamp"),
    ("is_deleted", "boolean"),
)
PARTITIONS = ("year", "month", "day", "hour")
PARQUET = "org.apache.hadoop.hive.ql.io.parquet"


def place(item: Resource, offline: Mapping[str, Any]) -> dict[str, str] | None:
    """Where the table of a group is, as DescribeFeatureGroup says it; None: there is none."""
    if offline.get("DisableGlueTableCreation"):
        return None
    stamp = int(item.created.timestamp())
    name = f"{item.name.lower().replace('-', '_')}_{stamp}"
    given: dict[str, str] = offline.get("DataCatalogConfig", {})
    return {"TableName": name, "Catalog": CATALOG, "Database": DATABASE, **given}


def write(emulator: Emulator, item: Resource) -> None:
    """Make the table of a group, or give it the columns that the group has now."""
    config = item.fields.get("OfflineStoreConfig", {})
    where = config.get("DataCatalogConfig")
    if where is None:
        return
    glue = moto_backend("glue", emulator)
    table = _table(item, config["S3StorageConfig"]["ResolvedOutputS3Uri"], where["TableName"])
    if where["Database"] not in glue.databases:
        glue.create_database(where["Database"], {"Name": where["Database"]})
    known = glue.databases[where["Database"]].tables
    act = glue.update_table if where["TableName"] in known else glue.create_table
    act(where["Database"], where["TableName"], table)


def _table(item: Resource, location: str, name: str) -> dict[str, Any]:
    features = [
        (feature["FeatureName"], TYPES[feature["FeatureType"]])
        for feature in item.fields["FeatureDefinitions"]
    ]
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "parquet.compression": "SNAPPY"},
        "PartitionKeys": [{"Name": part, "Type": "string"} for part in PARTITIONS],
        "StorageDescriptor": {
            "Columns": [{"Name": column, "Type": kind} for column, kind in (*features, *ADDED)],
            "Location": location,
            "InputFormat": f"{PARQUET}.MapredParquetInputFormat",
            "OutputFormat": f"{PARQUET}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{PARQUET}.serde.ParquetHiveSerDe"},
        },
    }
