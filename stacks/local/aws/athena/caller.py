"""Whoever asks Athena, by whose rights Glue and S3 are read and changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.athena.tables import QueryFailed, Source
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.iam.asked import Check
from stacks.local.aws.sagemaker import features
from stacks.local.runtime.s3_files import split_uri


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever asks, by whose rights is read and written."""

    emulator: Emulator
    access_key_id: str

    def may(self, action: str, resource: str) -> None:
        """QueryFailed where IAM denies."""
        told = self.emulator.authorizer.refuses(
            self.access_key_id, Check(action=action, resource=resource)
        )
        if told:
            raise QueryFailed(f"Access denied: {told}")

    def source(self) -> Source:
        return Source(databases=self._databases, objects=self._objects)

    def _databases(self) -> Mapping[str, Any]:
        databases: Mapping[str, Any] = self._glue.databases
        return databases

    def databases(self) -> None:
        """May list the databases."""
        self._may_look("GetDatabases", "database/*")

    def tables(self, database: str) -> None:
        """May list the tables of a database."""
        self._may_look("GetTables", f"table/{database}/*")

    def table(self, database: str, name: str) -> None:
        """May read a table's description; what its feature group holds is written first."""
        self._may_look("GetTable", f"table/{database}/{name}")
        for group in self.emulator.store.all(features.GROUP):
            where = group.fields.get("OfflineStoreConfig", {}).get("DataCatalogConfig", {})
            if (where.get("Database"), where.get("TableName")) == (database, name):
                features.flush(self.emulator, group)

    def partitions(self, database: str, name: str) -> list[list[str]]:
        """Values of the partitions that Glue lists."""
        self._may_look("GetPartitions", f"table/{database}/{name}")
        return [
            [*one.values] for one in self._databases()[database].tables[name].partitions.values()
        ]

    def create_database(self, name: str) -> None:
        self._may_look("CreateDatabase", f"database/{name}")
        self._glue.create_database(name, {"Name": name})

    def delete_database(self, name: str) -> None:
        self._may_look("DeleteDatabase", f"database/{name}")
        self._glue.delete_database(name)

    def create_table(self, database: str, table: Mapping[str, Any], *, replace: bool) -> None:
        name = table["Name"]
        there = name in self._databases()[database].tables
        self._may_look("UpdateTable" if there else "CreateTable", f"table/{database}/{name}")
        act = self._glue.update_table if there and replace else self._glue.create_table
        act(database, name, {**table})

    def delete_table(self, database: str, name: str) -> None:
        self._may_look("DeleteTable", f"table/{database}/{name}")
        self._glue.delete_table(database, name)

    def create_partition(
        self, database: str, name: str, values: Sequence[str], location: str
    ) -> None:
        """List one, where it is not."""
        self._may_look("CreatePartition", f"table/{database}/{name}")
        held = self._databases()[database].tables[name]
        if str([*values]) not in held.partitions:
            stored = held.get_version(str(held._current_version))["StorageDescriptor"]
            of = {"Values": [*values], "StorageDescriptor": {**stored, "Location": location}}
            self._glue.create_partition(database, name, of)

    @property
    def _glue(self) -> Any:
        return moto_backend("glue", self.emulator)

    def _may_look(self, operation: str, resource: str) -> None:
        place = self.emulator.authorizer.place
        here = f"arn:{place.partition}:glue:{place.region}:{place.account}"
        self.may(f"glue:{operation}", f"{here}:{resource}")

    def _object(self, bucket: str, key: str) -> str:
        return f"arn:{self.emulator.authorizer.place.partition}:s3:::{bucket}/{key}"

    def _objects(self, bucket: str, prefix: str) -> Mapping[str, bytes]:
        from moto.s3.models import FakeKey

        held = _s3(self.emulator).buckets.get(bucket)
        if held is None:
            raise QueryFailed(f"HIVE_CANNOT_OPEN_SPLIT: bucket {bucket} does not exist")
        found = {
            name: key
            for name, key in list(held.keys.items())
            if name.startswith(prefix) and isinstance(key, FakeKey)  # no mark of a deletion
        }
        for name in found:
            self.may("s3:GetObject", self._object(bucket, name))
        return {name: key.value for name, key in found.items()}

    def write(self, location: str, content: bytes) -> None:
        """Put the results where they belong."""
        bucket, key = split_uri(location)
        self.may("s3:PutObject", self._object(bucket, key))
        if bucket not in _s3(self.emulator).buckets:
            raise QueryFailed(f"the output bucket {bucket} must exist")
        _s3(self.emulator).put_object(bucket, key, content)


def _s3(emulator: Emulator) -> Any:
    from moto.s3.models import s3_backends

    place = emulator.authorizer.place
    return s3_backends[place.account][place.partition]
