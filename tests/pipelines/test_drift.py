"""Drift: what requests look like against what the model was trained on."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.drift import NAMESPACE as WATCHED
from pipelines.toolkit import drift, reference
from pipelines.toolkit.job import StepError

DICE = np.random.default_rng(7)
TRAINED = pd.Series(DICE.normal(100, 15, 20_000))


def stability(trained: Any, asked: Any) -> float:
    return reference.stability(reference.of(trained), asked)


def line(data: str, content_type: str = "application/json", encoding: str = "JSON") -> Any:
    sent = {"data": data, "encoding": encoding, "observedContentType": content_type}
    return {"captureData": {"endpointInput": sent}}


def test_the_same_distribution_has_not_drifted_and_another_one_has() -> None:
    again = pd.Series(DICE.normal(100, 15, 2_000))
    shifted = pd.Series(DICE.normal(115, 15, 2_000))
    assert stability(TRAINED, again) < 0.02
    assert stability(TRAINED, shifted) > 0.25


def test_a_feature_that_stops_coming_has_drifted() -> None:
    gone = pd.Series([None] * 500, dtype=object)
    assert stability(TRAINED, gone) > 1
    half = pd.Series([*DICE.normal(100, 15, 250), *[None] * 250])
    assert stability(TRAINED, half) > 0.25


def test_a_category_that_training_never_saw_has_drifted() -> None:
    carriers = pd.Series(["AA"] * 600 + ["UA"] * 400)
    assert stability(carriers, carriers.sample(500, random_state=1)) < 0.02
    assert stability(carriers, pd.Series(["AA"] * 300 + ["ZZ"] * 200)) > 0.25


@pytest.mark.parametrize(
    ("captured", "records"),
    [
        (line('{"records": [{"a": 1}, {"a": 2}]}'), [{"a": 1}, {"a": 2}]),
        (line('[{"a": 1}]'), [{"a": 1}]),
        (line('{"a": 1}'), [{"a": 1}]),
        (line('{"a": 1}\n{"a": 2}\n', "application/jsonlines"), [{"a": 1}, {"a": 2}]),
        (line("a,b\n1,x\n", "text/csv; header=present", "CSV"), [{"a": "1", "b": "x"}]),
        (line("1,x\n", "text/csv", "CSV"), []),
        (line("AAE=", "application/x-npy", "BASE64"), []),
        ({"captureData": {}}, []),
    ],
)
def test_every_way_to_ask_is_read_as_records(captured: Any, records: list[Any]) -> None:
    assert list(drift.parse(json.loads(json.dumps(captured)))) == records


def test_the_baseline_is_the_training_data_of_the_packages_own_run() -> None:
    def package(uri: str) -> dict[str, Any]:
        return {"ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": uri}}}}

    run = "s3://artifacts/plinth-dev-training/runs/abc"
    found = drift.training_data(package(f"{run}/evaluate/evaluation/evaluation.json"))
    assert found == f"{run}/features/train/train.parquet"
    with pytest.raises(StepError, match="must come from the training pipeline"):
        drift.training_data(package("s3://elsewhere/statistics.json"))


def test_too_few_records_say_nothing_of_drift() -> None:
    told = drift.metrics("e", {"records": 3, "drift": {}})
    assert [item["MetricName"] for item in told] == ["captured_records"]
    told = drift.metrics("e", {"records": 300, "drift": {"a": 0.1, "b": 0.4}})
    assert {item["MetricName"]: item["Value"] for item in told if len(item["Dimensions"]) == 1} == {
        "captured_records": 300,
        "worst_drift": 0.4,
    }


def test_the_alarm_watches_where_the_job_writes() -> None:
    assert WATCHED == drift.NAMESPACE
