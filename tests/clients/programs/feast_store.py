"""Feast with its stores on AWS: registry and files in S3, online features in DynamoDB."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pandas as pd
from cases import case, run
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RepoConfig,
    ValueType,
)
from feast.data_format import ParquetFormat
from feast.data_source import PushMode
from feast.types import Float64, Int64

BUCKET, ENDPOINT = "feast-store", os.environ["AWS_ENDPOINT_URL"]
s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
s3.create_bucket(Bucket=BUCKET)
WORK = Path(os.environ["HOME"]) / "feast"
WORK.mkdir(exist_ok=True)
NOW = datetime.now(UTC).replace(microsecond=0)

store = FeatureStore(
    config=RepoConfig(
        project="shop",
        provider="local",
        registry={"registry_type": "file", "path": f"s3://{BUCKET}/registry.db"},
        online_store={"type": "dynamodb", "region": "us-east-1", "endpoint_url": ENDPOINT},
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
    )
)
driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)


def views() -> tuple[FeatureView, PushSource]:
    frame = pd.DataFrame(
        {
            "driver_id": [1, 2, 1],
            "event_timestamp": [NOW - timedelta(hours=hours) for hours in (3, 2, 1)],
            "created": [NOW] * 3,
            "trips": pd.Series([10, 20, 11], dtype="int64"),
            "rating": [4.5, 3.5, 4.75],
        }
    )
    frame.to_parquet(WORK / "rows.parquet")
    s3.upload_file(str(WORK / "rows.parquet"), BUCKET, "rows.parquet")
    source = FileSource(
        name="rows",
        path=f"s3://{BUCKET}/rows.parquet",
        s3_endpoint_override=ENDPOINT,
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )
    push = PushSource(name="push", batch_source=source)
    schema = [Field(name="trips", dtype=Int64), Field(name="rating", dtype=Float64)]
    view = FeatureView(
        name="stats", entities=[driver], ttl=timedelta(days=1), schema=schema, source=push
    )
    return view, push


@case
def apply_writes_the_registry_and_makes_tables() -> None:
    view, push = views()
    store.apply([driver, push, view, FeatureService(name="service", features=[view])])
    assert [one.name for one in store.list_feature_views()] == ["stats"]
    assert s3.head_object(Bucket=BUCKET, Key="registry.db")["ContentLength"] > 0
    assert dynamodb.list_tables()["TableNames"] == ["shop.stats"]


@case
def historical_features_join_at_the_right_time() -> None:
    asked = pd.DataFrame({"driver_id": [1, 1], "event_timestamp": [NOW - timedelta(hours=2), NOW]})
    found = store.get_historical_features(
        entity_df=asked, features=["stats:trips", "stats:rating"]
    ).to_df()
    assert sorted(found["trips"]) == [10, 11], found


@case
def materialized_features_are_online() -> None:
    store.materialize(NOW - timedelta(days=1), NOW)
    found = store.get_online_features(
        features=["stats:trips", "stats:rating"],
        entity_rows=[{"driver_id": 1}, {"driver_id": 2}, {"driver_id": 3}],
    ).to_dict()
    assert found["trips"] == [11, 20, None], found
    assert found["rating"] == [4.75, 3.5, None]


@case
def pushed_features_are_online() -> None:
    row = {"driver_id": [2], "event_timestamp": [NOW], "created": [NOW], "trips": [21]}
    frame = pd.DataFrame({**row, "rating": [5.0]})
    store.push("push", frame, to=PushMode.ONLINE)
    service = store.get_feature_service("service")
    found = store.get_online_features(features=service, entity_rows=[{"driver_id": 2}]).to_dict()
    assert found["trips"] == [21], found


@case
def features_are_read_without_blocking() -> None:
    async def read() -> dict:
        await store.initialize()
        answer = await store.get_online_features_async(
            features=["stats:trips"], entity_rows=[{"driver_id": 1}]
        )
        await store.close()
        return answer.to_dict()

    assert asyncio.run(read())["trips"] == [11]


@case
def materializing_again_takes_what_is_new() -> None:
    store.materialize_incremental(NOW + timedelta(minutes=1))
    assert store.get_feature_view("stats").materialization_intervals


@case
def teardown_deletes_the_tables() -> None:
    store.teardown()
    assert dynamodb.list_tables()["TableNames"] == []


if __name__ == "__main__":
    run(sys.argv[1:])
