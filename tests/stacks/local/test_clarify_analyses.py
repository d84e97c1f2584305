"""What stands for Clarify's image, without a cloud: metrics, formats of data and answers, drift."""

import json
import math
from pathlib import Path
from typing import Any

import pandas
import pytest

from stacks.local.runtime.frameworks.clarify import bias, dataset, drift, explain, report
from stacks.local.runtime.frameworks.clarify.predictor import Predictor
from stacks.local.runtime.frameworks.outcome import Refused

# facet d: x = 1 (4 rows), facet a: x = 0 (6 rows)
ROWS = [
    # x, label, predicted, group
    (1, 1, 1, "n"), (1, 0, 0, "n"), (1, 0, 1, "s"), (1, 0, 0, "s"),
    (0, 1, 1, "n"), (0, 1, 1, "n"), (0, 1, 0, "n"), (0, 0, 0, "s"), (0, 0, 1, "s"), (0, 1, 1, "s"),
]  # fmt: skip
TABLE = pandas.DataFrame(ROWS, columns=["x", "y", "p", "g"])
CONFIG: dict[str, Any] = {
    "dataset_type": "text/csv",
    "label": "y",
    "predicted_label": "p",
    "label_values_or_threshold": [1],
    "facet": [{"name_or_index": "x", "value_or_threshold": [1]}],
    "group_variable": "g",
    "methods": {"pre_training_bias": {"methods": "all"}, "post_training_bias": {"methods": "all"}},
}


def made(tmp_path: Path, config: dict[str, Any], name: str, text: str) -> dataset.Dataset:
    (tmp_path / name).write_text(text)
    return dataset.read(tmp_path, config)


@pytest.fixture
def data(tmp_path: Path) -> dataset.Dataset:
    return made(tmp_path, CONFIG, "rows.csv", TABLE.to_csv(index=False))


def values(section: Any) -> dict[str, Any]:
    (facets,) = section["facets"].values()
    (facet,) = facets
    return {metric["name"]: metric["value"] for metric in facet["metrics"]}


def test_metrics_of_labels_are_those_of_the_formulas(data: dataset.Dataset) -> None:
    found = bias.before_training(data, CONFIG)
    a, d = (1 / 3, 2 / 3), (3 / 4, 1 / 4)  # shares of label 0 and 1 in each facet
    middle = [(left + right) / 2 for left, right in zip(a, d, strict=True)]
    kl = sum(left * math.log(left / right) for left, right in zip(a, d, strict=True))
    js = sum(
        sum(part * math.log(part / mean) for part, mean in zip(shares, middle, strict=True))
        for shares in (a, d)
    )
    # n: rejected 1 of 1 in d, accepted 1 of 4; s: rejected 2 of 4 in d, accepted 0 of 1
    cddl = (5 * (1 / 1 - 1 / 4) + 5 * (2 / 4 - 0)) / 10
    assert values(found) == pytest.approx(
        {
            "CI": (6 - 4) / 10,
            "DPL": 4 / 6 - 1 / 4,
            "KL": kl,
            "JS": js / 2,
            "LP": math.sqrt(2) * 5 / 12,
            "TVD": 5 / 12,
            "KS": 5 / 12,
            "CDDL": cddl,
        }
    )
    assert (found["label"], found["label_value_or_threshold"]) == ("y", "1")


def test_metrics_of_predictions_are_those_of_the_formulas(data: dataset.Dataset) -> None:
    found = values(bias.after_training(data, CONFIG, None))
    flip = found.pop("FT")
    # d: TP 1 FP 1 TN 2 FN 0; a: TP 3 FP 1 TN 1 FN 1
    benefit = [p - y + 1 for _, y, p, _ in ROWS]
    mean = sum(benefit) / 10
    assert found == pytest.approx(
        {
            "DPPL": 4 / 6 - 2 / 4,
            "DI": (2 / 4) / (4 / 6),
            "DCA": 4 / 4 - 1 / 2,
            "DCR": 3 / 2 - 2 / 2,
            "RD": 3 / 4 - 1 / 1,
            "SD": 2 / 3 - 1 / 2,
            "DAR": 3 / 4 - 1 / 2,
            "DRR": 2 / 2 - 1 / 2,
            "AD": 4 / 6 - 3 / 4,
            "TE": 0 / 1 - 1 / 1,
            # n: rejected 1 of 2 in d, accepted 1 of 3; s: rejected 1 of 2, accepted 1 of 3
            "CDDPL": (5 * (1 / 2 - 1 / 3) + 5 * (1 / 2 - 1 / 3)) / 10,
            "GE": sum((one / mean) ** 2 - 1 for one in benefit) / 10 / 2,
        }
    )
    # the five nearest of facet a are the same for all: mostly accepted, so two rows would flip
    assert flip == pytest.approx(2 / 4)


def test_a_metric_without_anything_to_divide_by_says_so(tmp_path: Path) -> None:
    rows = "x,y,p,g\n1,0,0,n\n1,0,0,n\n0,1,1,n\n0,0,0,n\n"
    config = {**CONFIG, "methods": {"post_training_bias": {"methods": ["DCA", "DI", "TE"]}}}
    (facets,) = bias.after_training(made(tmp_path, config, "r.csv", rows), config, None)[
        "facets"
    ].values()
    told = {metric["name"]: metric for metric in facets[0]["metrics"]}
    assert told["DI"]["value"] == 0.0
    assert told["DCA"]["value"] is None and "nothing to divide by" in told["DCA"]["error"]


def test_many_numbers_are_divided_by_a_threshold_and_few_are_categories(tmp_path: Path) -> None:
    lines = [f"{age},{age % 2}" for age in range(20, 80)]
    facet = [{"name_or_index": "age", "value_or_threshold": [40]}]
    methods = {"pre_training_bias": {"methods": ["CI"]}}
    config = {**CONFIG, "headers": ["age", "y"], "facet": facet, "methods": methods}
    del config["predicted_label"], config["group_variable"]
    found = bias.before_training(made(tmp_path, config, "r.csv", "\n".join(lines)), config)
    (one,) = found["facets"]["age"]
    assert one["value_or_threshold"] == "(40, 79]"
    assert one["metrics"][0]["value"] == pytest.approx((21 - 39) / 60)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a metric": (
        {"methods": {"pre_training_bias": {"methods": ["XX"]}}},
        "pre_training_bias must be of CDDL, CI,",
    ),
    "no label": ({"label": None}, "label must name the column"),
    "no positive label": ({"label_values_or_threshold": []}, "must say which labels are positive"),
    "no facet": ({"facet": []}, "facet must name the columns"),
    "a facet that divides nothing": (
        {"facet": [{"name_or_index": "x", "value_or_threshold": [7]}]},
        "facet x 7 must divide the rows",
    ),
    "a column": ({"facet": [{"name_or_index": "z"}]}, "must name a column of x, y, p, g, got z"),
    "no groups": (
        {"group_variable": None, "methods": {"pre_training_bias": {"methods": "CDDL"}}},
        "need group_variable",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_measured_is_refused_by_name(tmp_path: Path, case: str) -> None:
    changes, expected = WRONG[case]
    config = {**CONFIG, **changes}
    with pytest.raises(Refused, match=expected):
        bias.before_training(made(tmp_path, config, "r.csv", TABLE.to_csv(index=False)), config)


# Data sets

LINES = '{"features": [1, "a"], "label": 0}\n{"features": [2, "b"], "label": 1}\n'
DATA: dict[str, tuple[dict[str, Any], str]] = {
    "csv with its header": ({"dataset_type": "text/csv"}, "n,c,label\n1,a,0\n2,b,1\n"),
    "csv with told headers": (
        {"dataset_type": "text/csv", "headers": ["n", "c", "label"]},
        "1,a,0\n2,b,1\n",
    ),
    "csv with both": (
        {"dataset_type": "text/csv", "headers": ["n", "c", "label"]},
        "n,c,label\n1,a,0\n2,b,1\n",
    ),
    "lines": (
        {"dataset_type": "application/jsonlines", "features": "features", "headers": ["n", "c"]},
        LINES,
    ),
    "records": (
        {
            "dataset_type": "application/json",
            "features": "rows[*].features",
            "label": "rows[*].label",
            "headers": ["n", "c", "label"],
        },
        json.dumps({"rows": [json.loads(line) for line in LINES.splitlines()]}),
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_a_data_set_is_read_in_its_form(tmp_path: Path, case: str) -> None:
    config, text = DATA[case]
    found = made(tmp_path, {"label": "label", **config}, "file", text)
    assert found.features.to_dict("list") == {"n": [1, 2], "c": ["a", "b"]}
    assert list(found.label) == [0, 1]


def test_what_a_model_is_not_asked_with_is_left_out(tmp_path: Path) -> None:
    config = {**CONFIG, "excluded_columns": ["g"]}
    found = made(tmp_path, config, "r.csv", TABLE.to_csv(index=False))
    assert list(found.features.columns) == ["x"]


# Requests and answers

FEATURES = pandas.DataFrame({"n": [1, 2, 3], "c": ["a", "b", "c"]})
TALKS: dict[str, tuple[dict[str, Any], str, str, list[float]]] = {
    "csv, a line each": ({}, "1,a\n2,b\n3,c\n", "0.1\n0.9\n0.6\n", [0.1, 0.9, 0.6]),
    "csv, in one line": ({}, "1,a\n2,b\n3,c\n", "0.1,0.9,0.6", [0.1, 0.9, 0.6]),
    "csv, by place": ({"label": 1}, "1,a\n2,b\n3,c\n", "x,0.1\ny,0.9\nz,0.6\n", [0.1, 0.9, 0.6]),
    "lines by a template": (
        {
            "content_type": "application/jsonlines",
            "content_template": '{"instances":[$features]}',
            "label": "score",
        },
        '{"instances":[[1, "a"]]}\n{"instances":[[2, "b"]]}\n{"instances":[[3, "c"]]}\n',
        '{"score": 0.1}\n{"score": 0.9}\n{"score": 0.6}\n',
        [0.1, 0.9, 0.6],
    ),
    "an object as template": (
        {
            "content_type": "application/json",
            "content_template": {"instances": "$records"},
            "record_template": "$features_kvp",
            "label": "predictions[*].score",
        },
        '{"instances": [{"n": 1, "c": "a"},{"n": 2, "c": "b"},{"n": 3, "c": "c"}]}',
        '{"predictions": [{"score": 0.1}, {"score": 0.9}, {"score": 0.6}]}',
        [0.1, 0.9, 0.6],
    ),
    "a list of records": (
        {"content_type": "application/json", "label": "score"},
        '[[1, "a"],[2, "b"],[3, "c"]]',
        '{"predictions": [{"score": 0.1}, {"score": 0.9}, {"score": 0.6}]}',
        [0.1, 0.9, 0.6],
    ),
}


@pytest.mark.parametrize("case", TALKS)
def test_a_model_is_asked_and_understood_in_its_form(case: str) -> None:
    told, expected, answer, scores = TALKS[case]
    asked: list[str] = []

    def invoke(body: str, content: str, accept: str) -> str:
        asked.append(body)
        return answer

    found = Predictor(invoke, told, None).scores(FEATURES)
    assert asked == [expected]
    assert found[:, 0].tolist() == scores


@pytest.mark.parametrize(
    ("told", "threshold", "answer", "expected"),
    [
        ({}, None, "1\n0\n1\n", [1, 0, 1]),
        ({}, 0.5, "0.1\n0.9\n0.6\n", [False, True, True]),
        ({"probability": 1}, None, "a,0.1\na,0.9\na,0.6\n", [False, True, True]),
        (
            {"probability": "p", "label_headers": ["no", "yes"], "accept_type": "application/json"},
            None,
            '[{"p": [0.9, 0.1]}, {"p": [0.1, 0.9]}, {"p": [0.4, 0.6]}]',
            ["no", "yes", "yes"],
        ),
    ],
)
def test_a_label_is_told_or_follows_from_a_score(
    told: dict[str, Any], threshold: float | None, answer: str, expected: list[Any]
) -> None:
    found = Predictor(lambda *_: answer, told, threshold).labels(FEATURES)
    assert found.tolist() == expected


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(Refused, match="each of 3 rows, got 2 answers"):
        Predictor(lambda *_: "1\n2\n", {}, None).scores(FEATURES)


# Explanations, drift, report


def test_partial_dependence_is_the_mean_prediction_at_a_value(tmp_path: Path) -> None:
    data = made(tmp_path, {"dataset_type": "text/csv"}, "r.csv", "n,c\n1,a\n2,a\n3,b\n4,a\n")
    ask = Predictor(lambda body, *_: _sums(body), {}, None)
    config = {"methods": {"pdp": {"features": ["c"], "grid_resolution": 2}}}
    (found,) = explain.explanations(data, config, ask, tmp_path)["pdp"]
    assert found["feature_values"] == ["a", "b"]
    assert found["model_predictions"] == [[2.5 + 10, 2.5 + 20]]
    assert found["feature_distribution"] == [0.75, 0.25]


def _sums(body: str) -> str:
    """A model: the number, and ten or twenty for the letter."""
    rows = [line.split(",") for line in body.splitlines()]
    return "\n".join(str(float(n) + {"a": 10, "b": 20}[c]) for n, c in rows)


def analysis(**metrics: float) -> dict[str, Any]:
    told = [{"name": name, "value": value} for name, value in metrics.items()]
    facet = {"value_or_threshold": "1", "metrics": told}
    return {"post_training_bias_metrics": {"facets": {"x": [facet]}}}


@pytest.mark.parametrize(
    ("before", "now", "violated"),
    [
        ({"DPPL": 0.2}, {"DPPL": 0.1}, []),
        ({"DPPL": 0.2}, {"DPPL": -0.3}, ["DPPL"]),
        ({"DI": 0.8}, {"DI": 0.9}, []),
        ({"DI": 0.8}, {"DI": 0.5}, ["DI"]),
        ({"AD": 0.1}, {"RD": 0.9}, []),
    ],
)
def test_bias_drifts_where_it_is_further_from_balance(
    before: dict[str, float], now: dict[str, float], violated: list[str]
) -> None:
    found = drift.violations(analysis(**before), analysis(**now))
    assert [one["metric_name"] for one in found] == violated


def attributions(**shap: float) -> dict[str, Any]:
    return {"explanations": {"kernel_shap": {"label0": {"global_shap_values": shap}}}}


def test_attributions_drift_where_their_ranking_is_another() -> None:
    before = attributions(a=0.70, b=0.50, c=0.05)
    assert drift.violations(before, attributions(a=0.6, b=0.5, c=0.1)) == []
    (found,) = drift.violations(before, attributions(a=0.10, b=0.20, c=0.70))
    assert found["constraint_check_type"] == "feature_attribution_drift_check"
    # gains in the order c, b, a against the best order a, b, c
    best = 0.70 + 0.50 / math.log2(3) + 0.05 / 2
    score = (0.05 + 0.50 / math.log2(3) + 0.70 / 2) / best
    told = float(found["description"].split()[3])
    assert told == pytest.approx(score)


def test_the_report_shows_what_it_is_told_as_text() -> None:
    found = analysis(DI=0.5)
    found["post_training_bias_metrics"]["facets"]["<b>"] = found["post_training_bias_metrics"][
        "facets"
    ].pop("x")
    for metric in found["post_training_bias_metrics"]["facets"]["<b>"][0]["metrics"]:
        metric["description"] = "Disparate Impact (DI)"
    page = report.page(found, {"title": "Analysis"})
    assert "&lt;b&gt; = 1" in page and "<b>" not in page
    assert '<td>Disparate Impact (DI)</td><td class="n">0.5000</td>' in page
