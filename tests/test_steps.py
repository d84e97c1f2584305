"""The programs inside the pipeline's jobs: derived features, the offline store, whole runs."""

import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from botocore.client import BaseClient
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from pipelines.steps.artifact import TRUSTED_TYPES, matrix
from pipelines.steps.job import StepError
from pipelines.steps.offline_store import OfflineStore

from pipelines.holdout import holdout
from pipelines.steps import derive
from pipelines.steps.feature_groups import (
    CATEGORICAL,
    EVENT_TIME,
    FEATURE_GROUPS,
    FLIGHTS,
    NUMERIC,
    TARGET,
    WEATHER,
)
from tests.pipelines_kit import INPUTS, Jobs, month, reference

ACTUAL = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
WINDOW = ("--train-start", "2013-01-01", "--train-end", "2013-01-22", "--evaluation-days", "7")
START = datetime(2013, 1, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client(service: str, endpoint: str) -> BaseClient:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Any:
    s3 = client("s3", endpoint)
    for bucket in (INPUTS.data_bucket, INPUTS.artifacts_bucket):
        s3.create_bucket(Bucket=bucket)
    return s3


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return derive.flights(month("flights", "2013-01"), reference("planes"), reference("airports"))


# What features are made of


def test_no_feature_knows_how_the_flight_went(records: pd.DataFrame) -> None:
    raw = month("flights", "2013-01")
    shuffled = raw.assign(
        **{name: raw[name].sample(frac=1, random_state=3).to_numpy() for name in ACTUAL}
    )
    assert not shuffled[ACTUAL].equals(raw[ACTUAL])
    again = derive.flights(shuffled, reference("planes"), reference("airports"))
    pd.testing.assert_frame_equal(again, records)


def test_records_fit_the_schema_of_their_group(records: pd.DataFrame) -> None:
    assert set(records) == set(FLIGHTS.features)
    assert set(WEATHER.features) <= set(derive.weather(month("weather", "2013-01")))
    assert records["flight_id"].is_unique
    assert sorted([*NUMERIC, *CATEGORICAL]) == sorted(
        {name for group in FEATURE_GROUPS.values() for name in group.features}
        - {"flight_id", EVENT_TIME}
    )


def test_a_question_is_asked_an_hour_before_the_local_schedule(records: pd.DataFrame) -> None:
    raw = month("flights", "2013-01")
    first = raw.index[0]
    assert tuple(raw.loc[first, ["year", "month", "day", "sched_dep_time"]]) == (2013, 1, 1, 515)
    assert records.loc[first, EVENT_TIME] == "2013-01-01T09:15:00Z"  # 04:15 in New York
    summer = derive.questions(month("flights", "2013-07"))
    raw = month("flights", "2013-07").loc[summer.index]
    local = (summer["at"] + pd.Timedelta("1h")).dt.tz_convert("America/New_York")
    assert (local.dt.hour * 100 + local.dt.minute == raw["sched_dep_time"]).all()


@pytest.mark.parametrize("name", ["2013-01", "2013-07"])
def test_durations_are_free_of_time_zones(name: str) -> None:
    raw = month("flights", name)
    duration = derive.flights(raw, reference("planes"), reference("airports"))["duration"]
    slack = duration - raw["air_time"]  # taxiing and reserve
    assert slack[raw["air_time"].notna()].between(-140, 180).all()
    assert slack.groupby(raw["dest"]).median().dropna().between(0, 75).all()


def test_a_flight_over_midnight_into_another_zone_has_its_true_duration() -> None:
    raw = month("flights", "2013-01")
    raw = raw[(raw["flight"] == 707) & (raw["day"] == 2) & (raw["origin"] == "JFK")]
    assert raw[["sched_dep_time", "sched_arr_time"]].values.tolist() == [[2359, 442]]
    (row,) = derive.flights(raw, reference("planes"), reference("airports")).itertuples()
    assert (row.dest, row.duration) == ("SJU", 1 + 4 * 60 + 42 - 60)  # Puerto Rico is ahead


def test_cancelled_flights_ask_nothing_and_fifteen_minutes_are_late() -> None:
    raw = month("flights", "2013-01")
    asked = derive.questions(raw)
    assert len(asked) == raw["arr_delay"].notna().sum() < len(raw)
    assert (asked[TARGET] == (raw.loc[asked.index, "arr_delay"] > 14)).all()


def test_traffic_counts_the_schedule(records: pd.DataFrame) -> None:
    raw = month("flights", "2013-01")
    some = raw[(raw["origin"] == "LGA") & (raw["day"] == 9) & (raw["hour"] == 8)]
    assert set(records.loc[some.index, "traffic_hour"]) == {len(some)}
    same_day = raw[(raw["origin"] == "LGA") & (raw["day"] == 9)]
    assert set(records.loc[same_day.index, "traffic_day"]) == {len(same_day)}


def test_weather_looks_back_by_the_clock_and_not_by_rows() -> None:
    raw = month("weather", "2013-01")
    raw = raw[(raw["origin"] == "JFK") & (raw["day"] == 16)].reset_index(drop=True)
    raw["precip"], raw["pressure"] = np.arange(len(raw), dtype=float), 1000.0 + np.arange(len(raw))
    gap = raw.drop(index=[9, 10])
    derived = derive.weather(gap).set_index("hour")
    at = raw["hour"]
    assert derived.loc[at[8], "precip_3h"] == 8 + 7 + 6
    assert derived.loc[at[11], "precip_3h"] == 11
    assert derived.loc[at[8], "pressure_change_3h"] == 3
    assert np.isnan(derived.loc[at[12], "pressure_change_3h"])


def test_wind_faster_than_any_hurricane_is_no_wind() -> None:
    wind = derive.weather(month("weather", "2013-02"))["wind_speed"]
    assert month("weather", "2013-02")["wind_speed"].max() > 1000
    assert wind.max() < 60


# The join by event time

hours = st.integers(0, 12)
facts = st.lists(
    st.tuples(st.sampled_from("ab"), hours, st.integers(0, 3), st.booleans()), max_size=25
)
asks = st.lists(st.tuples(st.sampled_from("abc"), hours), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(written=facts, asked=asks, max_age=st.none() | st.integers(0, 4))
def test_the_join_agrees_with_a_search_by_hand(
    written: list[tuple[str, int, int, bool]], asked: list[tuple[str, int]], max_age: int | None
) -> None:
    records = pd.DataFrame(written, columns=["key", "hour", "write_time", "is_deleted"])
    records["value"] = np.arange(len(records), dtype=float)
    records[EVENT_TIME] = [iso(hour) for hour in records["hour"]]
    questions = pd.DataFrame(asked, columns=["key", "hour"])
    questions["at"] = derive.instants(pd.Series([iso(hour) for hour in questions["hour"]]))
    questions["n"] = range(len(questions))
    age = None if max_age is None else pd.Timedelta(hours=max_age)
    joined = derive.as_of(
        questions, records.drop(columns="hour"), by="key", max_age=age
    ).sort_values("n")
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
        group=WEATHER,
        bucket=INPUTS.data_bucket,
        prefix=f"features/{request.node.name}/data",
    )


def weather_day(temp: float = 40.0) -> pd.DataFrame:
    rows = derive.weather(month("weather", "2013-01"))
    rows = rows[rows[EVENT_TIME].str.startswith("2013-01-05")]
    return rows.assign(temp=rows["temp"].where(rows["origin"] != "JFK", temp))


def keys(store: OfflineStore) -> list[str]:
    found = store.s3.list_objects_v2(Bucket=store.bucket, Prefix=store.prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def test_the_offline_store_gives_back_what_was_written(store: OfflineStore) -> None:
    assert store.write(weather_day(), START) == 1
    back = store.read(START, START + timedelta(days=9))
    columns = list(WEATHER.features)
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
        assert derive.as_of(asked, known, by="origin")["temp"].tolist() == [temp]
    assert len(keys(store)) == 2


def test_a_group_with_another_schema_is_refused(s3: Any, endpoint: str) -> None:
    sagemaker = client("sagemaker", endpoint)
    create_group(sagemaker, "other", WEATHER, {"temp": "String"})
    with pytest.raises(StepError, match="must declare temp as our schema does, got String"):
        OfflineStore.of(sagemaker, s3, "other", WEATHER)


def create_group(sagemaker: Any, name: str, group: Any, changes: dict[str, str]) -> None:
    sagemaker.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName=group.record_identifier,
        EventTimeFeatureName=group.event_time,
        FeatureDefinitions=[
            {"FeatureName": feature, "FeatureType": changes.get(feature, kind)}
            for feature, kind in group.features.items()
        ],
        RoleArn=INPUTS.role_arn,
        OfflineStoreConfig={
            "S3StorageConfig": {"S3Uri": f"s3://{INPUTS.data_bucket}/features/{name}"}
        },
    )


# Whole runs on three weeks of January and the one after


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, endpoint: str, s3: Any) -> Jobs:
    """Every step, each handed what the definition hands it."""
    sagemaker = client("sagemaker", endpoint)
    for name, group in FEATURE_GROUPS.items():
        create_group(sagemaker, f"plinth-test-{name}", group, {})
    jobs = Jobs(folder=tmp_path_factory.mktemp("run"), endpoint_url=endpoint)
    jobs.run("ingest", "--data-bucket", INPUTS.data_bucket, *WINDOW)
    for step in ("validate", "features"):
        jobs.hand(jobs.output("ingest", "raw"), step, "processing/input/raw")
    jobs.run("validate", GREAT_EXPECTATIONS_SUITE="flights,weather")
    groups = [
        *("--flights-feature-group", INPUTS.flights_feature_group_name),
        *("--weather-feature-group", INPUTS.weather_feature_group_name),
    ]
    jobs.run("features", *groups, *WINDOW)
    jobs.hand(jobs.output("features", "train"), "train", "input/data/train")
    parameters = jobs.home("train") / "input" / "config" / "hyperparameters.json"
    parameters.parent.mkdir(parents=True)
    parameters.write_text(json.dumps({"max_iter": "60", "seed": "0"}))
    jobs.run("train")
    archive = jobs.home("evaluate") / "processing" / "input" / "model" / "model.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as packed:
        for path in (jobs.home("train") / "model").iterdir():
            packed.add(path, arcname=path.name)
    jobs.hand(jobs.output("features", "evaluation"), "evaluate", "processing/input/evaluation")
    tracking = f"sqlite:///{jobs.folder}/mlflow.db"
    jobs.run(
        *("evaluate", "--commit", "abc", "--execution-id", "run1", "--experiment", "training"),
        MLFLOW_TRACKING_URI=tracking,
        MLFLOW_DISABLE_TELEMETRY="true",
        HOME=str(jobs.folder),
    )
    return jobs


def report(jobs: Jobs, step: str, output: str, name: str) -> dict[str, Any]:
    content = json.loads((jobs.output(step, output) / name).read_text())
    assert isinstance(content, dict)
    return content


def test_a_run_ends_with_a_model_that_knows_something(run: Jobs) -> None:
    assert report(run, "validate", "report", "report.json")["passed"] is True
    evaluation = report(run, "evaluate", "evaluation", "evaluation.json")
    measured = {name: entry["value"] for name, entry in evaluation["metrics"].items()}
    assert set(measured) == {"auc", "brier", "late_rate", "log_loss", "n"}
    assert 0.62 < measured["auc"] < 0.9
    rate = measured["late_rate"]
    assert measured["brier"] < rate * (1 - rate) * 1.02
    assert set(evaluation["slices"]) == {"EWR", "JFK", "LGA"}
    assert evaluation["evaluation_window"] == {"start": "2013-01-22", "end": "2013-01-29"}
    assert evaluation["commit"] == "abc"
    manifest = report(run, "ingest", "raw", "manifest.json")
    assert evaluation["data_hash"] == manifest["data_hash"]


def test_training_ends_where_evaluation_starts(run: Jobs) -> None:
    sets = {
        name: pd.read_parquet(run.output("features", name) / f"{name}.parquet")
        for name in ("train", "evaluation")
    }
    assert sets["train"]["flight_id"].str.slice(0, 10).max() == "2013-01-21"
    assert sets["train"]["flight_id"].str.slice(0, 10).min() == "2013-01-01"
    days = sets["evaluation"]["flight_id"].str.slice(0, 10)
    assert (days.min(), days.max()) == ("2013-01-22", "2013-01-28")
    raw = month("flights", "2013-01")
    arrived = raw[raw["arr_delay"].notna() & (raw["day"] < 29)]
    assert sum(map(len, sets.values())) == len(arrived)


def test_one_mlflow_run_tells_what_was_done(run: Jobs) -> None:
    import sqlite3

    with sqlite3.connect(run.folder / "mlflow.db") as database:
        assert database.execute("select count(*) from runs where status='FINISHED'").fetchone() == (
            1,
        )
        tags = dict(database.execute("select key, value from tags"))
        metrics = dict(database.execute("select key, value from metrics"))
        parameters = dict(database.execute("select key, value from params"))
    assert (tags["commit"], tags["execution_id"]) == ("abc", "run1")
    assert len(tags["data_hash"]) == 64
    assert (
        metrics["auc"]
        == report(run, "evaluate", "evaluation", "evaluation.json")["metrics"]["auc"]["value"]
    )
    assert parameters["max_iter"] == "60"
    assert parameters["train_end"] == "2013-01-22"


def test_serving_accepts_the_artefact_and_gives_the_same_answers(run: Jobs) -> None:
    from serving import model as serving_model
    from serving.records import validated

    assert set(TRUSTED_TYPES) <= set(serving_model.TRUSTED_TYPES)
    folder = run.home("train") / "model"
    served = serving_model.load(folder)
    frame = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet").head(50)
    features = json.loads((folder / "signature.json").read_text())["features"]
    asked = json.loads(frame[[*NUMERIC, *CATEGORICAL]].to_json(orient="records"))
    answers = served.predict(validated(asked, served.signature).rows)
    expected = served.estimator.predict_proba(matrix(features, frame))[:, 1]
    assert answers == pytest.approx(expected.tolist())


def test_training_twice_gives_the_same_trees(run: Jobs, tmp_path: Path) -> None:
    again = Jobs(folder=tmp_path, endpoint_url=run.endpoint_url)
    again.hand(run.output("features", "train"), "train", "input/data/train")
    again.hand(
        run.home("train") / "input" / "config" / "hyperparameters.json",
        "train",
        "input/config/hyperparameters.json",
    )
    again.run("train")
    frame = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet")
    scores = []
    for jobs in (run, again):
        import skops.io

        folder = jobs.home("train") / "model"
        features = json.loads((folder / "signature.json").read_text())["features"]
        estimator = skops.io.load(folder / "model.skops", trusted=list(TRUSTED_TYPES))
        scores.append(estimator.predict_proba(matrix(features, frame)))
    assert np.array_equal(*scores)


def test_the_holdout_has_the_features_that_the_run_would_have(run: Jobs, s3: Any) -> None:
    frame = holdout(start="2013-01-22", days=7, s3=s3, bucket=INPUTS.data_bucket)
    evaluated = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet")
    pd.testing.assert_frame_equal(frame, evaluated[list(frame.columns)])


# What goes wrong is said


def test_a_corrupt_month_is_reported_with_its_rows_set_aside(run: Jobs, tmp_path: Path) -> None:
    frame = month("flights", "2013-01")
    frame.loc[:49, "carrier"] = None
    frame.loc[20:29, "distance"] = -1
    jobs = Jobs(folder=tmp_path, endpoint_url=run.endpoint_url)
    raw = jobs.home("validate") / "processing" / "input" / "raw" / "flights"
    raw.mkdir(parents=True)
    frame.to_csv(raw / "2013-01.csv", index=False)
    printed = jobs.run("validate", GREAT_EXPECTATIONS_SUITE="flights")
    told = report(jobs, "validate", "report", "report.json")
    assert told["passed"] is False
    assert told["failed_expectations"] == [
        "flights expect_column_values_to_not_be_null(carrier)",
        "flights expect_column_values_to_be_between(distance)",
    ]
    assert told["unexpected_rows"] == 50
    assert told["message"] == (
        "flights 2013-01 expect_column_values_to_not_be_null(carrier) 50 rows; "
        "flights 2013-01 expect_column_values_to_be_between(distance) 10 rows"
    )
    aside = pd.read_csv(jobs.output("validate", "quarantine") / "flights-2013-01.csv")
    assert len(aside) == 50
    assert printed.splitlines()[-1] == f"contract broken: {told['message']}"


def test_a_month_that_nobody_has_ends_the_log_with_the_reason(
    s3: Any, endpoint: str, tmp_path: Path
) -> None:
    jobs = Jobs(folder=tmp_path, endpoint_url=endpoint)
    printed = jobs.run(
        *("ingest", "--data-bucket", INPUTS.data_bucket, "--train-start", "2014-01-01"),
        *("--train-end", "2014-01-20", "--evaluation-days", "3"),
        expect=1,
    )
    last = printed.splitlines()[-1]
    assert last.startswith("failed: s3://plinth-test-data-123456789012 must hold")
    assert "landing/flights/2014-01.csv" in last
    assert (jobs.home("ingest") / "output" / "failure").read_text() == last[len("failed: ") :]


def test_landing_data_goes_before_the_package(s3: Any, endpoint: str, tmp_path: Path) -> None:
    frame = month("weather", "2013-12").head(7)
    key = "landing/weather/2013-12.csv"
    s3.put_object(Bucket=INPUTS.data_bucket, Key=key, Body=frame.to_csv(index=False).encode())
    jobs = Jobs(folder=tmp_path, endpoint_url=endpoint)
    jobs.run(
        *("ingest", "--data-bucket", INPUTS.data_bucket, "--train-start", "2013-12-01"),
        *("--train-end", "2013-12-20", "--evaluation-days", "3"),
    )
    assert len(pd.read_csv(jobs.output("ingest", "raw") / "weather" / "2013-12.csv")) == 7
    assert len(pd.read_csv(jobs.output("ingest", "raw") / "flights" / "2013-12.csv")) == 28135
