"""Records of a feature group in its offline store, written and read in bulk.

Writing Parquet files straight to the store's resolved address is how SageMaker's own Spark
connector loads batches. Files follow its layout,
`year=/month=/day=/hour=/<newest event>_<16 digits>.parquet`, with one difference: a file holds a
day and lies in the hour of its newest event, because a file per hour is thousands of objects of
three rows. The digits are a hash of the rows, so writing the same rows again writes nothing.
"""

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from pipelines.toolkit.feature_group import FeatureGroup
from pipelines.toolkit.job import StepError

THREADS = 8
ARROW = {"String": pa.string(), "Integral": pa.int64(), "Fractional": pa.float64()}
STAMPS = {
    "write_time": pa.timestamp("ms", tz="UTC"),
    "api_invocation_time": pa.timestamp("ms", tz="UTC"),
    "is_deleted": pa.bool_(),
}
"""The columns that the store adds to a record."""


@dataclass(frozen=True, kw_only=True)
class OfflineStore:
    """Where one feature group keeps its history."""

    s3: Any
    name: str
    """Of the feature group."""

    group: FeatureGroup
    """What is read and written of it: for a reader, the features that it uses."""

    bucket: str
    prefix: str
    """Ends in `/data`."""

    @classmethod
    def of(cls, sagemaker: Any, s3: Any, name: str, group: FeatureGroup) -> "OfflineStore":
        """The store of an existing feature group, which must have the features that we name."""
        try:
            described = sagemaker.describe_feature_group(FeatureGroupName=name)
        except sagemaker.exceptions.ResourceNotFound:
            raise StepError(
                f"feature group {name} must exist: deploy the workload that owns it first"
            ) from None
        declared = {
            feature["FeatureName"]: feature["FeatureType"]
            for feature in described["FeatureDefinitions"]
        }
        wrong = sorted(
            feature for feature, kind in group.features.items() if declared.get(feature) != kind
        )
        if wrong:
            raise StepError(
                f"feature group {name} must declare {', '.join(wrong)} as our schema does,"
                f" got {', '.join(str(declared.get(feature)) for feature in wrong)}"
            )
        offline = described.get("OfflineStoreConfig")
        if not offline:
            raise StepError(f"feature group {name} must have an offline store, got none")
        address = urlsplit(offline["S3StorageConfig"]["ResolvedOutputS3Uri"])
        prefix = address.path.strip("/")
        return cls(s3=s3, name=name, group=group, bucket=address.netloc, prefix=prefix)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, ARROW[kind]) for name, kind in self.group.features.items()])

    def write(self, records: pd.DataFrame, now: datetime) -> int:
        """Add records, a file per UTC day of their event times; how many files were written."""
        event_time, identifier = self.group.event_time, self.group.record_identifier
        frame = records[list(self.group.features)].sort_values([event_time, identifier])
        hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
        table = pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False)
        days = frame[event_time].str.slice(0, 10).to_numpy()
        lying = self._files(set(days))
        uploads = []
        for day in sorted(set(days)):
            first, after = days.searchsorted(day), days.searchsorted(day, side="right")
            digits = hashlib.sha256(hashes[first:after].tobytes()).hexdigest()[:16]
            key = self._key(str(frame[event_time].iloc[after - 1]), digits)
            if not _is_newest(key, lying[day]):
                uploads.append((key, _stamped(table.slice(first, after - first), now)))
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda upload: self._put(*upload), uploads))
        return len(uploads)

    def read(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Every write of every record with an event time from start up to before end."""
        first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
        days = [first + timedelta(days=day) for day in range((last - first).days + 1)]
        files = self._files(f"{day:%Y-%m-%d}" for day in days)
        with ThreadPoolExecutor(THREADS) as pool:
            tables = pool.map(self._get, [key for day in files.values() for key in day])
            schema = pa.schema([*self.schema, *STAMPS.items()])
            records: pd.DataFrame = pa.concat_tables([schema.empty_table(), *tables]).to_pandas()
        texts = records[self.group.event_time]
        return records[(texts >= _text(start)) & (texts < _text(end))]

    def _files(self, days: Iterable[str]) -> Mapping[str, dict[str, datetime]]:
        """By day: the files that lie there, with when each was written."""
        wanted = set(days)
        found: dict[str, dict[str, datetime]] = defaultdict(dict)
        paginator = self.s3.get_paginator("list_objects_v2")
        for month in sorted({day[:7] for day in wanted}):
            prefix = f"{self.prefix}/{_partition(month)}/"
            for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    number = entry["Key"].removeprefix(f"{prefix}day=").partition("/")[0]
                    day = f"{month}-{number}"
                    if day in wanted and entry["Key"].endswith(".parquet"):
                        found[day][entry["Key"]] = entry["LastModified"]
        return found

    def _key(self, newest: str, digits: str) -> str:
        hour = f"{_partition(newest[:10])}/hour={newest[11:13]}"
        stamp = newest.replace("-", "").replace(":", "")
        return f"{self.prefix}/{hour}/{stamp}_{digits}.parquet"

    def _put(self, key: str, table: pa.Table) -> None:
        content = io.BytesIO()
        parquet.write_table(table, content)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content.getvalue())

    def _get(self, key: str) -> pa.Table:
        content = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        schema = pa.schema([*self.schema, *STAMPS.items()])
        table = parquet.read_table(io.BytesIO(content), partitioning=None)
        return table.select(schema.names).cast(schema)


def _is_newest(key: str, lying: Mapping[str, datetime]) -> bool:
    """Whether the file lies there and no other of its day was written since.

    If an older version of a day comes back, its file is written again: later writes win.
    """
    if key not in lying:
        return False
    return all(other == key or written < lying[key] for other, written in lying.items())


def _stamped(table: pa.Table, now: datetime) -> pa.Table:
    for name, value in zip(STAMPS, (now, now, False), strict=True):
        table = table.append_column(name, pa.array([value] * len(table), STAMPS[name]))
    return table


def _partition(day: str) -> str:
    return "/".join(
        f"{name}={part}"
        for name, part in zip(("year", "month", "day"), day.split("-"), strict=False)
    )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
