"""Feature groups of the local cloud: online order, offline Parquet."""

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from stacks.local.aws.sagemaker.records import Records
from tests.conftest import HANGS_SECONDS
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, refusal


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture
def flights(sm: Any) -> Iterator[str]:
    name = f"flights-{time.time_ns()}"  # the offline folder's name tells seconds apart, not tests
    sm.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
            {"FeatureName": "distance", "FeatureType": "Integral"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/offline"}},
        RoleArn=ROLE,
    )
    yield name
    sm.delete_feature_group(FeatureGroupName=name)


def test_a_group_with_an_offline_store_has_a_table_in_the_catalog(
    cloud: Cloud, sm: Any, flights: str
) -> None:
    """By which the SDK's `create_athena_query` finds it."""
    shown = sm.describe_feature_group(FeatureGroupName=flights)
    config = shown["OfflineStoreConfig"]
    where = config["DataCatalogConfig"]
    assert (where["Catalog"], where["Database"]) == ("AwsDataCatalog", "sagemaker_featurestore")
    assert where["TableName"].startswith(flights.replace("-", "_") + "_")

    def columns() -> dict[str, str]:
        glue = cloud.client("glue")
        table = glue.get_table(DatabaseName=where["Database"], Name=where["TableName"])["Table"]
        storage = table["StorageDescriptor"]
        assert storage["Location"] == config["S3StorageConfig"]["ResolvedOutputS3Uri"]
        assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month", "day", "hour"]
        return {column["Name"]: column["Type"] for column in storage["Columns"]}

    added = {"write_time": "timestamp", "api_invocation_time": "timestamp", "is_deleted": "boolean"}
    assert columns() == {"id": "string", "at": "string", "distance": "bigint", **added}
    more = [{"FeatureName": "delay", "FeatureType": "Fractional"}]
    sm.update_feature_group(FeatureGroupName=flights, FeatureAdditions=more)
    assert columns()["delay"] == "double"


@pytest.mark.parametrize(
    ("asked", "table"),
    [
        ({"DisableGlueTableCreation": True}, None),
        ({"DataCatalogConfig": {"TableName": "t", "Catalog": "AwsDataCatalog", "Database": "d"}},
         "t"),
    ],
)  # fmt: skip
def test_a_table_is_made_where_and_if_it_is_wanted(
    asked: dict[str, Any], table: str | None, cloud: Cloud, sm: Any
) -> None:
    request = memory(OnlineStoreConfig={"EnableOnlineStore": True})
    request["OfflineStoreConfig"] = {
        "S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/offline"},
        **asked,
    }
    request.setdefault("RoleArn", ROLE)
    sm.create_feature_group(**request)
    name = request["FeatureGroupName"]
    config = sm.describe_feature_group(FeatureGroupName=name)["OfflineStoreConfig"]
    assert config.get("DataCatalogConfig", {}).get("TableName") == table
    if table:
        assert cloud.client("glue").get_table(DatabaseName="d", Name=table)["Table"]["Name"] == "t"


def put(store: Any, group: str, **values: str) -> None:
    store.put_record(
        FeatureGroupName=group,
        Record=[{"FeatureName": name, "ValueAsString": value} for name, value in values.items()],
    )


def read(store: Any, group: str, identifier: str) -> dict[str, str]:
    answer = store.get_record(FeatureGroupName=group, RecordIdentifierValueAsString=identifier)
    return {value["FeatureName"]: value["ValueAsString"] for value in answer.get("Record", [])}


def test_an_older_event_never_overwrites_a_newer_one(cloud: Cloud, flights: str) -> None:
    store = cloud.client("sagemaker-featurestore-runtime")
    put(store, flights, id="a", at="2013-01-02T00:00:00Z", distance="2")
    put(store, flights, id="a", at="2013-01-01T00:00:00Z", distance="1")
    assert read(store, flights, "a")["distance"] == "2"
    put(store, flights, id="a", at="2013-01-03T00:00:00Z", distance="3")
    assert read(store, flights, "a")["distance"] == "3"
    store.delete_record(
        FeatureGroupName=flights,
        RecordIdentifierValueAsString="a",
        EventTime="2013-01-04T00:00:00Z",
    )
    put(store, flights, id="a", at="2013-01-03T12:00:00Z", distance="4")
    assert read(store, flights, "a") == {}


def test_a_batch_reads_what_is_there_and_names_a_missing_group(cloud: Cloud, flights: str) -> None:
    store = cloud.client("sagemaker-featurestore-runtime")
    put(store, flights, id="a", at="2013-01-02T00:00:00Z", distance="2")
    answer = store.batch_get_record(
        Identifiers=[
            {
                "FeatureGroupName": flights,
                "RecordIdentifiersValueAsString": ["a", "nobody"],
                "FeatureNames": ["distance"],
            },
            {"FeatureGroupName": "missing", "RecordIdentifiersValueAsString": ["a"]},
        ]
    )
    assert [(r["RecordIdentifierValueAsString"], r["Record"]) for r in answer["Records"]] == [
        ("a", [{"FeatureName": "distance", "ValueAsString": "2"}])
    ]
    assert [error["FeatureGroupName"] for error in answer["Errors"]] == ["missing"]


def test_the_offline_store_keeps_every_event_as_parquet(
    cloud: Cloud, sm: Any, s3: Any, flights: str
) -> None:
    store = cloud.client("sagemaker-featurestore-runtime")
    put(store, flights, id="a", at="2013-01-02T05:00:00Z", distance="2")
    put(store, flights, id="a", at="2013-01-01T00:00:00Z", distance="1")
    shown = sm.describe_feature_group(FeatureGroupName=flights)
    data = shown["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
    assert data.startswith(
        f"s3://{BUCKET}/offline/123456789012/sagemaker/us-east-1/offline-store/{flights}-"
    )
    prefix = data.removeprefix(f"s3://{BUCKET}/")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
    parts = sorted(key.removeprefix(prefix).rpartition("/")[0] for key in keys)
    assert parts == ["/year=2013/month=01/day=01/hour=00", "/year=2013/month=01/day=02/hour=05"]
    rows = [
        row
        for key in keys
        for row in pq.read_table(
            io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        ).to_pylist()
    ]
    assert sorted(row["distance"] for row in rows) == [1, 2]
    assert {"write_time", "api_invocation_time", "is_deleted"} <= rows[0].keys()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"id": "a", "at": "2013-01-01T00:00:00Z", "distance": "far"}, "Integral"),
        ({"id": "a", "at": "2013-01-01T00:00:00Z", "speed": "1"}, "no feature 'speed'"),
        ({"id": "a", "at": "yesterday"}, "event time 'yesterday'"),
        ({"at": "2013-01-01T00:00:00Z"}, "must have a value for 'id'"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    cloud: Cloud, flights: str, values: dict[str, str], problem: str
) -> None:
    store = cloud.client("sagemaker-featurestore-runtime")
    record = [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()]
    code, message, status = refusal(store.put_record, FeatureGroupName=flights, Record=record)
    assert (code, status) == ("ValidationError", 400) and problem in message


def test_features_are_only_added(sm: Any, cloud: Cloud, flights: str) -> None:
    added = [{"FeatureName": "carrier", "FeatureType": "String"}]
    sm.update_feature_group(FeatureGroupName=flights, FeatureAdditions=added)
    code, message, _ = refusal(
        sm.update_feature_group, FeatureGroupName=flights, FeatureAdditions=added
    )
    assert code == "ValidationException" and "carrier" in message
    store = cloud.client("sagemaker-featurestore-runtime")
    put(store, flights, id="a", at="2013-01-02T00:00:00Z", carrier="UA")
    assert read(store, flights, "a")["carrier"] == "UA"


@pytest.mark.parametrize("name", ["is_deleted", "write_time", "api_invocation_time"])
def test_a_feature_has_no_name_of_the_offline_store(name: str, sm: Any, flights: str) -> None:
    added = [{"FeatureName": name, "FeatureType": "String"}]
    group = sm.describe_feature_group(FeatureGroupName=flights)["FeatureDefinitions"]
    made = {
        "FeatureGroupName": f"reserved-{name.replace('_', '-')}",
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [*group, *added],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
    }
    told = [
        refusal(sm.create_feature_group, **made),
        refusal(sm.update_feature_group, FeatureGroupName=flights, FeatureAdditions=added),
    ]
    assert {code for code, _, _ in told} == {"ValidationException"}
    assert all(message.endswith(f"got {name}") for _, message, _ in told)


def memory(**more: Any) -> dict[str, Any]:
    """A group whose online store is in memory."""
    return {
        "FeatureGroupName": f"memory-{time.time_ns()}",
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True, "StorageType": "InMemory"},
        "RoleArn": ROLE,
        **more,
    }


def test_a_store_in_memory_serves_and_has_no_history(cloud: Cloud, sm: Any) -> None:
    request = memory()
    sm.create_feature_group(**request)
    store = cloud.client("sagemaker-featurestore-runtime")
    put(store, request["FeatureGroupName"], id="a", at="2013-01-02T00:00:00Z")
    assert read(store, request["FeatureGroupName"], "a")["id"] == "a"
    offline = {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/offline"}}
    code, message, _ = refusal(sm.create_feature_group, **memory(OfflineStoreConfig=offline))
    assert code == "ValidationException" and "InMemory" in message


def test_only_an_offline_store_needs_a_role(cloud: Cloud, sm: Any) -> None:
    online = memory(OnlineStoreConfig={"EnableOnlineStore": True})
    del online["RoleArn"]
    sm.create_feature_group(**online)
    store = cloud.client("sagemaker-featurestore-runtime")
    put(store, online["FeatureGroupName"], id="a", at="2013-01-02T00:00:00Z")
    assert read(store, online["FeatureGroupName"], "a")["id"] == "a"
    offline = {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/offline"}}
    request = {**online, "FeatureGroupName": "no-role", "OfflineStoreConfig": offline}
    code, message, _ = refusal(sm.create_feature_group, **request)
    assert code == "ValidationException" and "RoleArn" in message


def test_a_record_outlives_its_time_to_live_by_nothing(cloud: Cloud, sm: Any) -> None:
    ttl = {"Unit": "Hours", "Value": 1}
    request = memory(OnlineStoreConfig={"EnableOnlineStore": True, "TtlDuration": ttl})
    sm.create_feature_group(**request)
    store = cloud.client("sagemaker-featurestore-runtime")
    fresh, stale = time.time() - 3500, time.time() - 3700
    for identifier, moment in (("fresh", fresh), ("stale", stale)):
        put(store, request["FeatureGroupName"], id=identifier, at=str(moment))
    assert read(store, request["FeatureGroupName"], "fresh")["id"] == "fresh"
    assert read(store, request["FeatureGroupName"], "stale") == {}


def value(**values: str) -> list[dict[str, str]]:
    return [{"FeatureName": name, "ValueAsString": text} for name, text in values.items()]


@pytest.fixture
def store(cloud: Cloud) -> Any:
    return cloud.client("sagemaker-featurestore-runtime")


def test_when_a_record_ends_is_told_to_who_asks(sm: Any, store: Any) -> None:
    request = memory()
    sm.create_feature_group(**request)
    name = {"FeatureGroupName": request["FeatureGroupName"]}
    later = int(time.time()) + 60
    ttl = {"Unit": "Minutes", "Value": 2}
    store.put_record(**name, Record=value(id="a", at=str(later)), TtlDuration=ttl)
    put(store, name["FeatureGroupName"], id="b", at=str(later))
    asked = {**name, "RecordIdentifierValueAsString": "a"}
    assert "ExpiresAt" not in store.get_record(**asked)
    told = store.get_record(**asked, ExpirationTimeResponse="Enabled")["ExpiresAt"]
    assert datetime.fromisoformat(told).timestamp() == later + 120  # EventTime + TtlDuration
    both = store.batch_get_record(
        Identifiers=[{**name, "RecordIdentifiersValueAsString": ["a", "b"]}],
        ExpirationTimeResponse="Enabled",
    )["Records"]
    assert [row.get("ExpiresAt") for row in both] == [told, None]


def test_a_batch_is_written_entry_by_entry(store: Any, flights: str) -> None:
    entries = [
        {"FeatureGroupName": flights, "Record": value(id="a", at="2013-01-02T00:00:00Z")},
        {"FeatureGroupName": flights, "Record": value(id="b", at="yesterday")},
        {"FeatureGroupName": "missing", "Record": value(id="c", at="2013-01-02T00:00:00Z")},
    ]
    answer = store.batch_write_record(Entries=entries)
    assert [error["Entry"] for error in answer["Errors"]] == entries[1:]
    assert [error["ErrorCode"] for error in answer["Errors"]] == [
        "ValidationError", "ResourceNotFound",
    ]  # fmt: skip
    assert read(store, flights, "a")["id"] == "a" and read(store, flights, "b") == {}


def test_records_are_listed_page_by_page(store: Any, flights: str) -> None:
    for identifier in "cab":
        put(store, flights, id=identifier, at="2013-01-02T00:00:00Z")
    gone = {"RecordIdentifierValueAsString": "b", "EventTime": "2013-01-03T00:00:00Z"}
    store.delete_record(FeatureGroupName=flights, **gone)

    def pages(**asked: Any) -> list[list[str]]:
        answer = store.list_records(FeatureGroupName=flights, **asked)
        rest = pages(**asked, NextToken=answer["NextToken"]) if "NextToken" in answer else []
        return [answer["RecordIdentifiers"], *rest]

    assert pages() == [["a", "c"]]
    asked = {"FeatureGroupName": flights, "MaxResults": 2, "IncludeSoftDeletedRecords": True}
    first = store.list_records(**asked)
    assert first["RecordIdentifiers"] == ["a", "b"]
    rest = store.list_records(**asked, NextToken=first["NextToken"])
    assert rest["RecordIdentifiers"] == ["c"] and "NextToken" not in rest


def test_a_hard_deletion_leaves_no_mark_and_is_never_older(store: Any, flights: str) -> None:
    put(store, flights, id="a", at="2013-01-02T00:00:00Z", distance="2")
    asked = {"FeatureGroupName": flights, "RecordIdentifierValueAsString": "a"}
    older = {"EventTime": "2013-01-01T00:00:00Z", "DeletionMode": "HardDelete"}
    code, message, status = refusal(store.delete_record, **asked, **older)
    assert (code, status) == ("ValidationError", 400) and "older" in message
    newer = {"EventTime": "2013-01-03T00:00:00Z", "DeletionMode": "HardDelete"}
    store.delete_record(**asked, **newer)
    listed = store.list_records(FeatureGroupName=flights, IncludeSoftDeletedRecords=True)
    assert listed["RecordIdentifiers"] == []
    put(store, flights, id="a", at="2013-01-02T12:00:00Z", distance="3")
    assert read(store, flights, "a")["distance"] == "3"


def test_some_features_of_a_record_are_changed(sm: Any, store: Any, flights: str) -> None:
    more = [{"FeatureName": "delay", "FeatureType": "Integral"}]
    request = memory()
    request["FeatureDefinitions"] += more
    sm.create_feature_group(**request)
    group = request["FeatureGroupName"]
    asked = {"FeatureGroupName": group, "RecordIdentifierValueAsString": "a"}
    assert refusal(store.update_record, **asked, Features=value(delay="1"))[0] == "ResourceNotFound"
    put(store, group, id="a", at="2013-01-02T00:00:00Z", delay="1")
    store.update_record(**asked, Features=value(delay="2"))
    assert read(store, group, "a") == {"id": "a", "at": "2013-01-02T00:00:00Z", "delay": "2"}
    older = value(delay="3", at="2013-01-01T00:00:00Z")
    assert refusal(store.update_record, **asked, Features=older)[0] == "ConflictException"
    ttl = {"Unit": "Days", "Value": 1}
    code, message, _ = refusal(
        store.update_record, **asked, Features=value(delay="3"), TtlDuration=ttl
    )
    assert code == "ValidationError" and "event time" in message
    put(store, flights, id="a", at="2013-01-02T00:00:00Z")
    code, message, _ = refusal(
        store.update_record,
        FeatureGroupName=flights,
        RecordIdentifierValueAsString="a",
        Features=value(distance="1"),
    )
    assert code == "ValidationError" and "StorageType" in message


def test_people_describe_features(sm: Any, flights: str) -> None:
    name = {"FeatureGroupName": flights, "FeatureName": "distance"}
    first = sm.describe_feature_metadata(**name)
    assert (first["FeatureType"], first["Parameters"]) == ("Integral", [])
    parameters = [{"Key": "unit", "Value": "miles"}, {"Key": "owner", "Value": "ops"}]
    sm.update_feature_metadata(**name, Description="How far", ParameterAdditions=parameters)
    sm.update_feature_metadata(**name, ParameterRemovals=["owner"])
    found = sm.describe_feature_metadata(**name)
    assert found["Description"] == "How far"
    assert found["Parameters"] == [{"Key": "unit", "Value": "miles"}]
    assert found["LastModifiedTime"] > first["LastModifiedTime"]
    code, message, _ = refusal(sm.describe_feature_metadata, **{**name, "FeatureName": "speed"})
    assert code == "ResourceNotFound" and "speed" in message


def test_whoever_reads_waits_for_what_somebody_is_writing() -> None:
    """Two readers at once: the second must not take an empty list for an empty store."""
    writing, go_on, done = (threading.Event() for _ in range(3))
    records = Records(
        identifier="id", event_time="at", types={"id": "String", "at": "String"},
        online=False, offline_uri="s3://bucket/data",
    )  # fmt: skip

    class Slow:
        def put_object(self, **_: Any) -> None:
            writing.set()
            assert go_on.wait(HANGS_SECONDS)
            done.set()

    record = {"id": "1", "at": "2026-05-01T00:00:00Z"}
    records.put(record, ["OfflineStore"], None)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(records.flush, Slow())
        assert writing.wait(HANGS_SECONDS)
        told = records.waiting, records.unwritten
        go_on.set()
        assert told == ([], True)
        assert records.flush(Slow()) == 0 and done.is_set()
        assert first.result() == 1
    assert not records.unwritten
