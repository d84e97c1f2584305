"""What stands for Model Monitor's analyzer of predictions: metrics, constraints and violations."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas
import pytest

from stacks.local.runtime.frameworks import analyze, model_quality, outcome
from stacks.local.runtime.frameworks.outcome import Refused

BINARY = {
    "analysis_type": "MODEL_QUALITY",
    "problem_type": "BinaryClassification",
    "inference_attribute": "said",
    "probability_attribute": "score",
    "ground_truth_attribute": "truth",
}
# TP 3, FN 1, FP 1, TN 5
ROWS = pandas.DataFrame(
    {
        "truth": ["1"] * 4 + ["0"] * 6,
        "said": ["1.0"] * 3 + ["0"] + ["1"] + ["0"] * 5,
        "score": ["0.9", "0.8", "0.7", "0.2", "0.6", "0.1", "0.1", "0.1", "0.1", "0.1"],
    }
)


def measured(table: pandas.DataFrame, told: Mapping[str, str], name: str) -> dict[str, Any]:
    found = model_quality.statistics(table, told)
    return dict(found[f"{name}_metrics"])


def test_a_classifier_of_two_is_measured_by_its_positive_label() -> None:
    found = measured(ROWS, BINARY, "binary_classification")
    assert found["confusion_matrix"] == {"0": {"0": 5, "1": 1}, "1": {"0": 1, "1": 3}}
    values = {name: one["value"] for name, one in found.items() if "value" in one}
    assert values == pytest.approx(
        {
            "recall": 3 / 4, "precision": 3 / 4, "accuracy": 8 / 10,
            "true_positive_rate": 3 / 4, "true_negative_rate": 5 / 6,
            "false_positive_rate": 1 / 6, "false_negative_rate": 1 / 4,
            "f0_5": 0.75, "f1": 0.75, "f2": 0.75,
            # 24 pairs: the last positive is below one of six negatives
            "auc": 23 / 24,
            "recall_best_constant_classifier": 0.0, "precision_best_constant_classifier": 0.0,
            "accuracy_best_constant_classifier": 6 / 10, "f0_5_best_constant_classifier": 0.0,
            "f1_best_constant_classifier": 0.0, "f2_best_constant_classifier": 0.0,
        }
    )  # fmt: skip
    assert found["recall"]["standard_deviation"] == "NaN", "of ten rows there is none"
    curve = found["receiver_operating_characteristic_curve"]
    assert curve["false_positive_rates"][0] == 0 and curve["true_positive_rates"][-1] == 1


def test_a_probability_alone_is_divided_by_its_threshold() -> None:
    told = {**BINARY, "inference_attribute": "", "probability_threshold_attribute": "0.65"}
    assert measured(ROWS, told, "binary_classification")["false_positive_rate"]["value"] == 0
    told["probability_threshold_attribute"] = "0.5"
    assert measured(ROWS, told, "binary_classification")["false_positive_rate"]["value"] == 1 / 6


def test_a_regression_is_measured_by_its_errors() -> None:
    table = pandas.DataFrame({"truth": ["1", "2", "3", ""], "said": ["1", "2", "5", "9"]})
    told = {"problem_type": "Regression", "inference_attribute": "said"}
    found = measured(table, {**told, "ground_truth_attribute": "truth"}, "regression")
    values = {name: one["value"] for name, one in found.items()}
    mse = 4 / 3
    assert values == pytest.approx({"mae": 2 / 3, "mse": mse, "rmse": mse**0.5, "r2": 1 - 4 / 2})


def test_many_classes_are_weighted_by_how_often_they_are_true() -> None:
    table = pandas.DataFrame({0: list("aabbbc"), 1: list("abbbbc")})
    told = {"problem_type": "MulticlassClassification", "inference_attribute": "1"}
    found = measured(table, {**told, "ground_truth_attribute": "0"}, "multiclass_classification")
    assert found["confusion_matrix"]["a"] == {"a": 1, "b": 1, "c": 0}
    assert found["weighted_recall"]["value"] == pytest.approx((2 * 0.5 + 3 * 1 + 1 * 1) / 6)
    assert found["weighted_precision"]["value"] == pytest.approx((2 * 1 + 3 * 0.75 + 1 * 1) / 6)
    assert found["accuracy_best_constant_classifier"]["value"] == 0.5


def test_deviations_are_told_of_enough_rows_and_are_the_same_again() -> None:
    many = pandas.concat([ROWS] * 20, ignore_index=True)
    first = measured(many, BINARY, "binary_classification")
    assert 0 < first["recall"]["standard_deviation"] < 0.1
    assert measured(many, BINARY, "binary_classification") == first


def test_what_is_worse_than_the_baseline_is_a_violation() -> None:
    rules = model_quality.constraints(model_quality.statistics(ROWS, BINARY), BINARY)
    bounds = rules["binary_classification_constraints"]
    assert bounds["recall"] == {"threshold": 0.75, "comparison_operator": "LessThanThreshold"}
    assert bounds["false_positive_rate"]["comparison_operator"] == "GreaterThanThreshold"
    assert not any("constant" in name for name in bounds)
    same = model_quality.statistics(ROWS, BINARY)
    assert model_quality.violations(same, rules, BINARY) == {"violations": []}
    worse = model_quality.statistics(ROWS.assign(said=["0"] * 10), BINARY)
    found = model_quality.violations(worse, rules, BINARY)["violations"]
    kinds = {one["metric_name"]: one["constraint_check_type"] for one in found}
    assert kinds["recall"] == "LessThanThreshold"
    assert kinds["false_negative_rate"] == "GreaterThanThreshold"
    assert "false_positive_rate" not in kinds, "nothing is said to be positive any more"
    assert "Metric recall with 0.0 was LessThanThreshold '0.75'" in {
        one["description"] for one in found
    }


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "problem": ({"problem_type": "Ranking"}, "problem_type must be one of Regression, Binary"),
    "truth": ({"ground_truth_attribute": "gone"}, "must name a column of truth, said, score"),
    "prediction": (
        {"inference_attribute": "", "probability_attribute": ""},
        "inference_attribute or probability_attribute must be told",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_measured_is_refused_by_name(case: str) -> None:
    changes, expected = WRONG[case]
    with pytest.raises(Refused, match=expected):
        model_quality.statistics(ROWS, {**BINARY, **changes})


def test_the_analyzer_writes_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (analyze, outcome):
        monkeypatch.setattr(module, "OPT_ML", tmp_path)
    source = tmp_path / "processing/input/data"
    source.mkdir(parents=True)
    ROWS.to_csv(source / "rows.csv", index=False)
    told = {
        **BINARY,
        "dataset_source": "/opt/ml/processing/input/data",
        "dataset_format": '{"csv": {"header": true}}',
    }
    assert analyze.main(told) == 0
    output = tmp_path / "processing/output"
    rules = json.loads((output / "constraints.json").read_text())
    assert rules["binary_classification_constraints"]["auc"]["threshold"] == pytest.approx(23 / 24)
    ROWS.assign(said="0").to_csv(source / "rows.csv", index=False)
    baseline = {"baseline_constraints": "/opt/ml/processing/output/constraints.json"}
    assert analyze.main({**told, **baseline}) == 0
    message = (tmp_path / "output/message").read_text()
    assert message.startswith("CompletedWithViolations: ")
    assert (output / "constraint_violations.json").exists()
