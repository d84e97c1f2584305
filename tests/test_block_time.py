"""The programs of the workload block_time: features, whole runs, answers with quantiles."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.block_time import derive
from pipelines.block_time.feature_groups import COLUMNS, FLIGHTS, QUANTILES, ROUTES, TARGET, WEATHER
from pipelines.block_time.score import baseline, score
from pipelines.holdout import Source, compared, holdout
from pipelines.toolkit.artifact import answers, load
from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.point_in_time import instants
from pipelines.workload import Parameter, named
from tests.pipelines_kit import Jobs, inputs, month, reference
from tests.steps_kit import client, deploy, evaluation, measured, publish_weather, report, train

ACTUAL = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
WORKLOAD = named("block_time")
INPUTS = inputs("block_time", "training")


# What features are made of


def test_records_fit_the_schemas_of_their_groups() -> None:
    raw = month("flights", "2013-01")
    records = derive.flights(raw, reference("planes"), reference("airports"))
    assert set(records) == set(FLIGHTS.features)
    assert set(derive.routes(raw)) == set(ROUTES.features)
    names = {*FLIGHTS.features, *ROUTES.features, *WEATHER.features}
    assert {*COLUMNS.numeric, *COLUMNS.categorical} == names - {"flight_id", EVENT_TIME}


def test_no_record_of_a_flight_knows_how_it_went() -> None:
    raw = month("flights", "2013-01")
    shuffled = raw.assign(
        **{name: raw[name].sample(frac=1, random_state=3).to_numpy() for name in ACTUAL}
    )
    tables = reference("planes"), reference("airports")
    pd.testing.assert_frame_equal(derive.flights(shuffled, *tables), derive.flights(raw, *tables))


def test_a_route_knows_only_flights_that_have_landed() -> None:
    raw = month("flights", "2013-01")
    noon = pd.Timestamp("2013-01-15T17:00Z")
    landed = instants(raw["time_hour"]) + pd.to_timedelta(raw["minute"], unit="min")
    landed += pd.to_timedelta(raw["dep_delay"] + raw["air_time"], unit="min")
    in_the_air = landed > noon
    other = raw.assign(air_time=raw["air_time"].where(~in_the_air, raw["air_time"] + 500))

    def known(table: pd.DataFrame) -> pd.DataFrame:
        records = derive.routes(table)
        return records[instants(records[EVENT_TIME]) <= noon].reset_index(drop=True)

    assert len(known(raw)) > 5000
    pd.testing.assert_frame_equal(known(other), known(raw))
    assert not derive.routes(other).equals(derive.routes(raw))


def flight(dest: str, hour: int, minutes: float, delay: float = 0.0) -> dict[str, Any]:
    return {
        "dest": dest,
        "time_hour": f"2013-01-02T{hour:02}:00:00Z",
        "minute": 0,
        "dep_delay": delay,
        "air_time": minutes,
    }


def test_a_route_looks_back_by_the_clock() -> None:
    raw = pd.DataFrame(
        [
            flight("ORD", 0, 100),  # landed at 2:10 with taxiing
            flight("ORD", 1, 120),  # at 3:30
            flight("ORD", 2, 300, delay=240.0),  # at 11:30
            flight("MIA", 2, float("nan"), delay=float("nan")),  # never
        ]
    )
    records = derive.routes(raw).set_index(EVENT_TIME)
    assert set(records["dest"]) == {"ORD"}
    at = {hour: records.loc[f"2013-01-02T{hour:02}:00:00Z"] for hour in (3, 6, 12, 15, 18)}
    assert [at[hour]["flown_12h"] for hour in at] == [100, 110, 120, 210, 300]
    assert [at[hour]["flown_24h"] for hour in at] == [100, 110, 120, 120, 120]
    assert np.isnan(records.loc["2013-01-03T00:00:00Z"]["flown_12h"])
    assert records.index.max() == "2013-01-03T09:00:00Z"


def test_cancelled_and_diverted_flights_ask_nothing() -> None:
    raw = month("flights", "2013-01")
    asked = derive.questions(raw)
    assert len(asked) == raw["air_time"].notna().sum() < raw["arr_time"].notna().sum()
    assert (asked[TARGET] == raw.loc[asked.index, "air_time"]).all()


# How answers are measured


def test_a_perfect_answer_costs_nothing_and_others_what_they_miss() -> None:
    truth = [100.0, 200.0]
    perfect = [{"p10": value, "value": value, "p90": value} for value in truth]
    assert score(perfect, truth) == {"mae": 0, "pinball": 0, "coverage": 1}
    wide = [{"p10": value - 10, "value": value + 2, "p90": value + 10} for value in truth]
    found = score(wide, truth)
    assert found["mae"] == 2
    assert found["pinball"] == pytest.approx((0.1 * 10 + 0.5 * 2 + 0.1 * 10) / 3, abs=1e-6)
    assert score([{"p10": 0, "value": 1, "p90": 2}] * 2, truth)["coverage"] == 0


def test_the_baseline_is_the_route_and_else_all() -> None:
    minutes = [100.0, 110.0, 120.0, 300.0]
    known = pd.DataFrame({"origin": "JFK", "dest": ["ORD", "ORD", "ORD", "LAX"], TARGET: minutes})
    asked = pd.DataFrame({"origin": ["JFK", "EWR", "JFK"], "dest": ["LAX", "ORD", "ORD"]})
    said = baseline(known, asked)
    assert [answer["value"] for answer in said] == [300, 115, 110]
    assert said[2]["p10"] == pytest.approx(102)


# Whole runs on three weeks of January and the one after


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, moto: str) -> Jobs:
    """Every step, each handed what the definition hands it."""
    deploy(moto)
    publish_weather(tmp_path_factory.mktemp("weather"), moto, "2013-02")
    folder = tmp_path_factory.mktemp("run")
    settings = {"max_iter": "40", "learning_rate": "0.2", "min_samples_leaf": "100", "seed": "0"}
    return train("block_time", folder, moto, settings)


def test_a_run_ends_with_a_model_that_beats_the_route(run: Jobs) -> None:
    assert report(run, "validate", "report", "report.json")["passed"] is True
    found = evaluation(run)
    model, guess = measured(found), measured(found, "baseline")
    assert set(model) == set(guess) == {"mae", "pinball", "coverage", "n"}
    assert model["n"] == guess["n"] > 5000
    assert model["mae"] < 0.95 * guess["mae"] < 15
    assert model["pinball"] < guess["pinball"]
    assert 0.4 < model["coverage"] < 1
    assert set(found["slices"]) == {"EWR", "JFK", "LGA"}


def test_serving_answers_as_the_evaluation_did(run: Jobs) -> None:
    from serving import model as serving_model
    from serving.records import validated

    served = serving_model.load(run.home("train") / "model")
    assert served.signature.outputs == tuple(QUANTILES)
    frame = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet").head(50)
    asked = json.loads(frame[[*COLUMNS.numeric, *COLUMNS.categorical]].to_json(orient="records"))
    told = served.predict(validated(asked, served.signature).rows)
    archive = run.home("evaluate") / "processing" / "input" / "model" / "model.tar.gz"
    estimators, signature = load(archive)
    expected = answers(estimators, signature, frame)
    assert [dict(zip(QUANTILES, row, strict=True)) for row in told] == expected
    assert all(low <= value <= high for low, value, high in told)


def test_the_holdout_is_scored_beside_the_route(run: Jobs) -> None:
    parameters: dict[str, Parameter] = {
        "TrainStart": "2013-01-01",
        "TrainEnd": "2013-01-15",
        "EvaluationDays": 7,
    }
    source = Source(
        client=lambda service: client(service, run.endpoint_url),
        data_bucket=INPUTS.data_bucket,
        feature_groups=INPUTS.feature_groups,
        parameters=parameters,
    )
    asked = holdout(WORKLOAD, source, days=7)  # the days that the run evaluated
    evaluated = pd.read_parquet(run.output("features", "evaluation") / "evaluation.parquet")
    columns = [*COLUMNS.numeric, *COLUMNS.categorical]
    pd.testing.assert_frame_equal(
        pd.DataFrame(asked.records)[columns], evaluated[columns], check_dtype=False
    )
    perfect = [{"p10": value, "value": value, "p90": value} for value in asked.truth]
    found = compared(WORKLOAD, asked, perfect)
    assert found["mae"] == 0
    assert 0 < found["baseline_pinball"] < found["baseline_mae"]
