"""The programs of the workload flight_delay: features, whole runs, what goes wrong."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import UserError
from pipelines.flight_delay import derive
from pipelines.flight_delay.feature_groups import COLUMNS, FLIGHTS, TARGET, WEATHER
from pipelines.flight_delay.score import baseline, score
from pipelines.holdout import Source, compared, holdout
from pipelines.toolkit.artifact import TRUSTED_TYPES, answers, matrix
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.workload import Parameter, named
from tests.pipelines_kit import INPUTS, NAMES, Jobs, month, reference
from tests.steps_kit import (
    client,
    deploy,
    evaluation,
    groups,
    measured,
    publish_weather,
    report,
    train,
)

ACTUAL = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
WORKLOAD = named("flight_delay")


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
    assert records["flight_id"].is_unique
    assert sorted([*COLUMNS.numeric, *COLUMNS.categorical]) == sorted(
        {*FLIGHTS.features, *WEATHER.features} - {"flight_id", EVENT_TIME}
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


# Whole runs on three weeks of January and the one after


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, moto: str) -> Jobs:
    """Every step, each handed what the definition hands it."""
    deploy(moto)
    publish_weather(tmp_path_factory.mktemp("weather"), moto, "2013-02")
    folder = tmp_path_factory.mktemp("run")
    return train("flight_delay", folder, moto, {"max_iter": "60", "seed": "0"})


def test_a_run_ends_with_a_model_that_knows_something(run: Jobs) -> None:
    assert report(run, "validate", "report", "report.json")["passed"] is True
    found = evaluation(run)
    model, guess = measured(found), measured(found, "baseline")
    assert set(model) == set(guess) == {"auc", "brier", "log_loss", "n"}
    assert 0.62 < model["auc"] < 0.9
    assert guess["auc"] == 0.5
    assert model["brier"] < guess["brier"] * 1.02
    assert set(found["slices"]) == {"EWR", "JFK", "LGA"}
    assert found["evaluation_window"] == {"start": "2013-01-22", "end": "2013-01-29"}
    assert found["commit"] == "abc"
    assert found["data_hash"] == report(run, "ingest", "raw", "manifest.json")["data_hash"]


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
    assert metrics["auc"] == measured(evaluation(run))["auc"]
    assert metrics["baseline_auc"] == 0.5
    assert parameters["max_iter"] == "60"
    assert parameters["train_end"] == "2013-01-22"


def test_serving_accepts_the_artefact_and_gives_the_same_answers(run: Jobs) -> None:
    from serving import model as serving_model
    from serving.records import validated

    assert set(TRUSTED_TYPES) <= set(serving_model.TRUSTED_TYPES)
    folder = run.home("train") / "model"
    served = serving_model.load(folder)
    frame = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet").head(50)
    asked = json.loads(frame[[*COLUMNS.numeric, *COLUMNS.categorical]].to_json(orient="records"))
    told = served.predict(validated(asked, served.signature).rows)
    signature = json.loads((folder / "signature.json").read_text())
    expected = answers(served.estimators[0], signature, frame)
    assert [{"probability": value} for (value,) in told] == expected


def test_training_twice_gives_the_same_trees(run: Jobs, tmp_path: Path) -> None:
    again = Jobs(workload="flight_delay", folder=tmp_path, endpoint_url=run.endpoint_url)
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


def source(endpoint: str, **changes: Parameter) -> Source:
    parameters: dict[str, Parameter] = {
        "TrainStart": "2013-01-01",
        "TrainEnd": "2013-01-22",
        "EvaluationDays": 7,
    }
    return Source(
        client=lambda service: client(service, endpoint),
        data_bucket=INPUTS.data_bucket,
        feature_groups=INPUTS.feature_groups,
        parameters=parameters | changes,
    )


def test_the_holdout_has_the_features_that_a_run_would_have(run: Jobs) -> None:
    before = source(run.endpoint_url, TrainEnd="2013-01-15")  # held out are the evaluated days
    asked = holdout(WORKLOAD, before, days=7)
    evaluated = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet")
    columns = [*COLUMNS.numeric, *COLUMNS.categorical]
    pd.testing.assert_frame_equal(
        pd.DataFrame(asked.records)[columns], evaluated[columns], check_dtype=False
    )
    assert asked.truth == evaluated[TARGET].tolist()


def test_answers_are_scored_beside_the_base_rate(run: Jobs) -> None:
    asked = holdout(WORKLOAD, source(run.endpoint_url), days=2)
    perfect = [{"probability": 0.9 if late else 0.1} for late in asked.truth]
    found = compared(WORKLOAD, asked, perfect)
    assert set(found) == {
        f"{who}{metric}" for who in ("", "baseline_") for metric in ("auc", "brier", "log_loss")
    }
    assert (found["auc"], found["baseline_auc"]) == (1.0, 0.5)
    assert found["brier"] == 0.01 < found["baseline_brier"]


def test_a_holdout_without_weather_says_what_to_run(run: Jobs) -> None:
    late = source(run.endpoint_url, TrainStart="2013-03-01", TrainEnd="2013-03-10")
    with pytest.raises(UserError, match="run pipeline ingest of workload weather"):
        holdout(WORKLOAD, late, days=7)


def test_where_all_flights_end_alike_there_is_no_auc() -> None:
    assert set(score([{"probability": 0.2}] * 2, [0, 0])) == {"brier", "log_loss"}
    train = pd.DataFrame({TARGET: [0, 0, 0, 1]})
    assert baseline(train, train[:2]) == [{"probability": 0.25}] * 2


# What goes wrong is said


def test_without_the_weather_the_features_say_what_to_run(run: Jobs, tmp_path: Path) -> None:
    jobs = Jobs(workload="flight_delay", folder=tmp_path, endpoint_url=run.endpoint_url)
    jobs.hand(run.output("ingest", "raw"), "features", "processing/input/raw")
    window = ("--train-start", "2013-02-20", "--train-end", "2013-03-01", "--evaluation-days", "7")
    printed = jobs.run("features", *groups("flight_delay"), *window, expect=1)
    assert printed.splitlines()[-1] == (
        "failed: feature group plinth-test-weather-hourly must hold records from 2013-02-20 to "
        "2013-03-08, it lacks 2013-03-02 to 2013-03-08: "
        "run pipeline ingest of workload weather for these months first"
    )


def test_a_corrupt_month_is_reported_with_its_rows_set_aside(run: Jobs, tmp_path: Path) -> None:
    frame = month("flights", "2013-01")
    frame.loc[:49, "carrier"] = None
    frame.loc[20:29, "distance"] = -1
    jobs = Jobs(workload="flight_delay", folder=tmp_path, endpoint_url=run.endpoint_url)
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


def test_a_month_that_nobody_has_ends_the_log_with_the_reason(run: Jobs, tmp_path: Path) -> None:
    jobs = Jobs(workload="flight_delay", folder=tmp_path, endpoint_url=run.endpoint_url)
    printed = jobs.run(
        *("ingest", "--data-bucket", NAMES.bucket("data"), "--train-start", "2014-01-01"),
        *("--train-end", "2014-01-20", "--evaluation-days", "3"),
        expect=1,
    )
    last = printed.splitlines()[-1]
    assert last.startswith("failed: s3://plinth-test-data-123456789012 must hold")
    assert "landing/flights/2014-01.csv" in last
    assert (jobs.home("ingest") / "output" / "failure").read_text() == last[len("failed: ") :]


def test_landing_data_goes_before_the_package(run: Jobs, tmp_path: Path) -> None:
    frame = month("flights", "2013-12").head(7)
    client("s3", run.endpoint_url).put_object(
        Bucket=NAMES.bucket("data"),
        Key="landing/flights/2013-12.csv",
        Body=frame.to_csv(index=False).encode(),
    )
    jobs = Jobs(workload="flight_delay", folder=tmp_path, endpoint_url=run.endpoint_url)
    jobs.run(
        *("ingest", "--data-bucket", NAMES.bucket("data"), "--train-start", "2013-11-20"),
        *("--train-end", "2013-12-20", "--evaluation-days", "3"),
    )
    assert len(pd.read_csv(jobs.output("ingest", "raw") / "flights" / "2013-12.csv")) == 7
    assert len(pd.read_csv(jobs.output("ingest", "raw") / "flights" / "2013-11.csv")) == 27268
