"""What steps share: joins by event time, the feature stores, the landing zone, data sets."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.toolkit import online_store, used_features, window
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.job import StepError
from pipelines.toolkit.offline_store import OfflineStore
from pipelines.toolkit.point_in_time import as_of, instants
from pipelines.weather import derive
from pipelines.weather.feature_groups import HOURLY
from tests.kits.pipelines import NAMES, month
from tests.kits.steps import client, create_group

START = datetime(2013, 1, 1, 5, tzinfo=UTC)
BUCKET = NAMES.bucket("data")


@pytest.fixture(scope="module")
def s3(moto: str) -> Any:
    s3 = client("s3", moto)
    s3.create_bucket(Bucket=BUCKET)
    return s3


# The join by event time

hours = st.integers(0, 12)
facts = st.lists(
    st.tuples(st.sampled_from("ab"), hours, st.integers(0, 3), st.booleans()), max_size=25
)
asks = st.lists(st.tuples(st.sampled_from("abc"), hours), min_size=1, max_size=12)


@settings(max_examples=150)
@given(written=facts, asked=asks, max_age=st.none() | st.integers(0, 4))
def test_the_join_agrees_with_a_search_by_hand(
    written: list[tuple[str, int, int, bool]], asked: list[tuple[str, int]], max_age: int | None
) -> None:
    records = pd.DataFrame(written, columns=["key", "hour", "write_time", "is_deleted"])
    records["value"] = np.arange(len(records), dtype=float)
    records[EVENT_TIME] = [iso(hour) for hour in records["hour"]]
    questions = pd.DataFrame(asked, columns=["key", "hour"])
    questions["at"] = instants(pd.Series([iso(hour) for hour in questions["hour"]]))
    questions["n"] = range(len(questions))
    age = None if max_age is None else pd.Timedelta(hours=max_age)
    joined = as_of(questions, records.drop(columns="hour"), by="key", max_age=age).sort_values("n")
    expected = [by_hand(written, key, hour, max_age) for key, hour in asked]
    assert [None if np.isnan(value) else int(value) for value in joined["value"]] == expected


def by_hand(
    written: list[tuple[str, int, int, bool]], key: str, hour: int, max_age: int | None
) -> int | None:
    """The last write of each event time, the deleted ones dropped, then the newest not too old."""
    last: dict[int, tuple[int, int]] = {}
    for at, (whose, event, write, _) in enumerate(written):
        if whose == key and (event not in last or write >= last[event][0]):
            last[event] = (write, at)
    for event in sorted(last, reverse=True):
        at = last[event][1]
        if event <= hour and not written[at][3]:
            return at if max_age is None or hour - event <= max_age else None
    return None


def iso(hour: int) -> str:
    return f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


# The offline store


@pytest.fixture
def store(s3: Any, request: pytest.FixtureRequest) -> OfflineStore:
    return OfflineStore(
        s3=s3,
        name=request.node.name,
        group=HOURLY,
        bucket=BUCKET,
        prefix=f"features/{request.node.name}/data",
    )


def weather_day(temp: float = 40.0) -> pd.DataFrame:
    rows = derive.hourly(month("weather", "2013-01"))
    rows = rows[rows[EVENT_TIME].str.startswith("2013-01-05")]
    return rows.assign(temp=rows["temp"].where(rows["origin"] != "JFK", temp))


def keys(store: OfflineStore) -> list[str]:
    found = store.s3.list_objects_v2(Bucket=store.bucket, Prefix=store.prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def test_the_offline_store_gives_back_what_was_written(store: OfflineStore) -> None:
    assert store.write(weather_day(), START) == 1
    back = store.read(START, START + timedelta(days=9))
    columns = list(HOURLY.features)
    pd.testing.assert_frame_equal(
        back[columns].sort_values([EVENT_TIME, "origin"], ignore_index=True),
        weather_day()[columns].sort_values([EVENT_TIME, "origin"], ignore_index=True),
    )
    (key,) = keys(store)
    place, _, file = key.removeprefix(f"{store.prefix}/").rpartition("/")
    assert place == "year=2013/month=01/day=05/hour=23"
    assert file.startswith("20130105T230000Z_")
    assert len(file) == len("20130105T230000Z_0123456789abcdef.parquet")


def test_reading_keeps_to_the_times_asked_for(store: OfflineStore) -> None:
    store.write(weather_day(), START)
    noon = datetime(2013, 1, 5, 12, tzinfo=UTC)
    times = store.read(noon, noon + timedelta(hours=2))[EVENT_TIME]
    assert set(times) == {"2013-01-05T12:00:00Z", "2013-01-05T13:00:00Z"}


def test_writing_the_same_records_again_writes_nothing(store: OfflineStore) -> None:
    assert store.write(weather_day(), START) == 1
    assert store.write(weather_day(), START + timedelta(days=1)) == 0
    assert len(keys(store)) == 1


def test_the_last_write_counts_also_when_it_brings_back_the_first(store: OfflineStore) -> None:
    asked = pd.DataFrame({"origin": ["JFK"], "at": [pd.Timestamp("2013-01-05T12:30Z")]})
    for at, temp in enumerate((10.0, 20.0, 10.0)):
        assert store.write(weather_day(temp), START + timedelta(minutes=at)) == 1
        known = store.read(START, START + timedelta(days=9))
        assert as_of(asked, known, by="origin")["temp"].tolist() == [temp]
    assert len(keys(store)) == 2


def test_a_group_with_another_schema_is_refused(s3: Any, moto: str) -> None:
    sagemaker = client("sagemaker", moto)
    create_group(sagemaker, "other", HOURLY, {"temp": "String"})
    with pytest.raises(StepError, match="must declare temp as our schema does, got String"):
        OfflineStore.of(sagemaker, s3, "other", HOURLY)


class Empty:
    """A SageMaker without feature groups."""

    class exceptions:
        class ResourceNotFound(Exception):
            """What boto3 raises."""

    def describe_feature_group(self, **_: Any) -> dict[str, Any]:
        raise self.exceptions.ResourceNotFound


def test_a_group_that_is_not_there_says_who_makes_it(s3: Any) -> None:
    with pytest.raises(StepError, match="feature group nothing must exist: deploy the workload"):
        OfflineStore.of(Empty(), s3, "nothing", HOURLY)


def test_a_reader_may_name_fewer_features_than_there_are(s3: Any, moto: str) -> None:
    sagemaker = client("sagemaker", moto)
    create_group(sagemaker, "all", HOURLY)
    OfflineStore.of(sagemaker, s3, "all", HOURLY).write(weather_day(), START)
    fewer = replace(
        HOURLY, features={"origin": "String", EVENT_TIME: "String", "temp": "Fractional"}
    )
    back = OfflineStore.of(sagemaker, s3, "all", fewer).read(START, START + timedelta(days=9))
    assert list(back.columns)[:3] == ["origin", EVENT_TIME, "temp"]
    assert len(back) == len(weather_day())


# Features of other workloads


@pytest.mark.parametrize(
    ("lacking", "found"),
    [
        ([], []),
        ([3], []),  # a source may miss a day
        ([3, 5], []),
        ([3, 4], [(3, 4)]),
        ([0, 1, 2, 8, 9], [(0, 2), (8, 9)]),
        (list(range(10)), [(0, 9)]),
    ],
)
def test_gaps_of_more_than_a_day_are_told(lacking: list[int], found: list[tuple[int, int]]) -> None:
    days = [date(2013, 1, 27) + timedelta(days=number) for number in range(10)]
    seen = {day.isoformat() for number, day in enumerate(days) if number not in lacking}
    told = used_features.gaps(days[0], days[-1], seen)
    assert told == [(days[first], days[last]) for first, last in found]


def test_absent_features_are_refused_with_what_to_run_first(store: OfflineStore) -> None:
    store.write(weather_day(), START)
    fifth = datetime(2013, 1, 5, tzinfo=UTC)
    used_features.read(store, fifth, fifth + timedelta(days=1), pipeline="pipeline ingest")
    with pytest.raises(StepError) as told:
        used_features.read(store, fifth, fifth + timedelta(days=5), pipeline="pipeline ingest")
    assert str(told.value) == (
        f"feature group {store.name} must hold records from 2013-01-05 to 2013-01-09,"
        " it lacks 2013-01-06 to 2013-01-09: run pipeline ingest for these months first"
    )


class Online:
    """A feature store that keeps what is put."""

    def __init__(self, *, online: bool) -> None:
        self.online = online
        self.put: list[dict[str, Any]] = []

    def describe_feature_group(self, **_: Any) -> dict[str, Any]:
        return {"OnlineStoreConfig": {"EnableOnlineStore": True}} if self.online else {}

    def put_record(self, **request: Any) -> None:
        self.put.append(request)


def test_the_newest_record_of_each_key_goes_online() -> None:
    store = Online(online=True)
    assert online_store.put_newest(store, store, "hourly", HOURLY, weather_day()) == 3
    records = [
        {entry["FeatureName"]: entry["ValueAsString"] for entry in request["Record"]}
        for request in store.put
    ]
    assert {record["origin"] for record in records} == {"EWR", "JFK", "LGA"}
    assert {record[EVENT_TIME] for record in records} == {"2013-01-05T23:00:00Z"}
    assert all("nan" not in record.values() for record in records)
    assert {tuple(request["TargetStores"]) for request in store.put} == {("OnlineStore",)}


def test_a_group_without_an_online_store_gets_nothing_online() -> None:
    store = Online(online=False)
    assert online_store.put_newest(store, store, "hourly", HOURLY, weather_day()) == 0
    assert store.put == []


# Windows


def test_months_are_named_from_the_first_to_the_last() -> None:
    assert window.month_range("2012-12", "2013-02") == ["2012-12", "2013-01", "2013-02"]
    with pytest.raises(StepError, match="LastMonth must not be before FirstMonth"):
        window.month_range("2013-02", "2013-01")
    with pytest.raises(StepError, match="FirstMonth must be a month as YYYY-MM, got 'May'"):
        window.month_range("May", "2013-01")


def test_a_window_must_have_days_on_both_sides() -> None:
    asked = window.of_days("2013-01-01", "2013-03-01", 14)
    assert asked.months() == ["2013-01", "2013-02", "2013-03"]
    assert asked.end == date(2013, 3, 15)
    with pytest.raises(StepError, match="TrainEnd must be after TrainStart"):
        window.of_days("2013-01-01", "2013-01-01", 14)
    with pytest.raises(StepError, match="EvaluationDays must be at least 1, got 0"):
        window.of_days("2013-01-01", "2013-03-01", 0)
