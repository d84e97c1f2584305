"""How well predictions meet the truth, the constraints that suggests, and what falls short of them.

The documents are those of Model Monitor's prebuilt container (SageMaker developer guide, "Model
Quality Metrics" and "Schema for Violations"). A standard deviation is that of five samples of 80 %
of the rows, and is not told of fewer than 200 rows ("Model Quality Metrics").
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from sklearn import metrics

from stacks.local.runtime.frameworks.outcome import Refused

Document = dict[str, Any]
SAMPLES, SHARE, LEAST_ROWS, SEED = 5, 0.8, 200, 7
BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
CURVE_POINTS = 100
LESS, GREATER = "LessThanThreshold", "GreaterThanThreshold"
CONSTANT = "best_constant_classifier"


@dataclass(frozen=True)
class Told:
    """Columns of one data set, row by row."""

    truth: Any
    predicted: Any
    score: Any = None
    """Probability of the positive class. Default: none is told."""

    def rows(self, chosen: Any) -> "Told":
        score = None if self.score is None else self.score[chosen]
        return Told(self.truth[chosen], self.predicted[chosen], score)


@dataclass(frozen=True)
class Problem:
    """A kind of problem: its metrics, which of them a baseline bounds, and how it is named."""

    name: str
    measure: Callable[[Told], dict[str, float]]
    bounds: Mapping[str, str]
    """Metric -> the operator by which a value is a violation."""
    more: Callable[[Told], Document] = lambda told: {}
    """What is no number."""


def statistics(table: pandas.DataFrame, environment: Mapping[str, str]) -> Document:
    """The content of statistics.json."""
    problem = _problem(environment)
    told = _told(table, environment, problem)
    found: Document = {
        name: {"value": value, "standard_deviation": _deviation(problem, told, name)}
        for name, value in problem.measure(told).items()
    }
    return {
        "version": 0.0,
        "dataset": {"item_count": len(told.truth)},
        f"{problem.name}_metrics": {**problem.more(told), **found},
    }


def constraints(found: Mapping[str, Any], environment: Mapping[str, str]) -> Document:
    """The content of constraints.json that statistics suggest."""
    problem = _problem(environment)
    measured = found[f"{problem.name}_metrics"]
    rules = {
        name: {"threshold": measured[name]["value"], "comparison_operator": operator}
        for name, operator in problem.bounds.items()
        if name in measured
    }
    return {"version": 0.0, f"{problem.name}_constraints": rules}


def violations(
    found: Mapping[str, Any], rules: Mapping[str, Any], environment: Mapping[str, str]
) -> Document:
    """The content of constraint_violations.json: what of statistics is beyond constraints."""
    problem = _problem(environment)
    key = f"{problem.name}_constraints"
    if key not in rules:
        raise Refused(f"the constraints must have {key}, got {', '.join(rules)}")
    told = []
    for name, rule in rules[key].items():
        measured = found[f"{problem.name}_metrics"].get(name)
        operator, threshold = rule["comparison_operator"], rule["threshold"]
        if measured is None:
            raise Refused(f"there is no metric {name} to compare with its threshold")
        value = measured["value"]
        if value < threshold if operator == LESS else value > threshold:
            told.append(
                {
                    "constraint_check_type": operator,
                    "metric_name": name,
                    "description": f"Metric {name} with {value} was {operator} '{threshold}'",
                }
            )
    return {"violations": told}


def _problem(environment: Mapping[str, str]) -> Problem:
    kind = environment.get("problem_type", "")
    if kind not in PROBLEMS:
        raise Refused(f"problem_type must be one of {', '.join(PROBLEMS)}, got {kind!r}")
    return PROBLEMS[kind]


def _told(table: pandas.DataFrame, environment: Mapping[str, str], problem: Problem) -> Told:
    """Truth, predictions and scores of the rows that have them."""
    truth = _column(table, environment, "ground_truth_attribute")
    score = (
        pandas.to_numeric(_column(table, environment, "probability_attribute"), errors="coerce")
        if environment.get("probability_attribute")
        else None
    )
    if environment.get("inference_attribute"):
        predicted = _column(table, environment, "inference_attribute")
    elif score is not None:
        threshold = float(environment.get("probability_threshold_attribute") or 0.5)
        predicted = (score >= threshold).astype(int).astype(str)
    else:
        raise Refused("inference_attribute or probability_attribute must be told")
    if problem.name == "regression":
        truth, predicted = (pandas.to_numeric(one, errors="coerce") for one in (truth, predicted))
    else:
        truth, predicted = (_labels(one) for one in (truth, predicted))
    there = truth.notna() & predicted.notna()
    if not there.any():
        raise Refused("no row has both a prediction and the truth")
    kept = [one[there].to_numpy() for one in (truth, predicted)]
    return Told(kept[0], kept[1], None if score is None else score[there].to_numpy())


def _column(table: pandas.DataFrame, environment: Mapping[str, str], variable: str) -> Any:
    """The column that a variable names, by its name or its place."""
    name = environment.get(variable, "")
    if name in table.columns:
        return table[name]
    if name.isdigit() and int(name) < len(table.columns):
        return table.iloc[:, int(name)]
    shown = ", ".join(map(str, table.columns))
    raise Refused(f"{variable} must name a column of {shown}, got {name!r}")


def _labels(column: Any) -> Any:
    """Labels as text: 1, 1.0 and "1" are the same."""
    numbers = pandas.to_numeric(column, errors="coerce")
    whole = numbers.notna() & (numbers % 1 == 0)
    labels = column.astype("string").str.strip()
    labels[whole] = numbers[whole].astype("int64").astype("string")
    return labels.mask(labels == "")


def _deviation(problem: Problem, told: Told, name: str) -> float | str:
    rows = len(told.truth)
    if rows < LEAST_ROWS:
        return "NaN"
    picked = numpy.random.default_rng(SEED)
    values = [
        problem.measure(told.rows(picked.choice(rows, int(rows * SHARE), replace=False))).get(name)
        for _ in range(SAMPLES)
    ]
    return float(numpy.std([value for value in values if value is not None]))


# -- regression


def _regression(told: Told) -> dict[str, float]:
    mse = float(metrics.mean_squared_error(told.truth, told.predicted))
    return {
        "mae": float(metrics.mean_absolute_error(told.truth, told.predicted)),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "r2": float(metrics.r2_score(told.truth, told.predicted)),
    }


# -- classification


def _positive(told: Told) -> str:
    """The positive label of two: 1 where there is one, else the later of the two."""
    labels = sorted({*told.truth, *told.predicted})
    return "1" if "1" in labels else str(labels[-1])


def _binary(told: Told) -> dict[str, float]:
    positive = _positive(told)
    truth, predicted = told.truth == positive, told.predicted == positive
    rates = {
        "recall": _ratio(truth & predicted, truth),
        "precision": _ratio(truth & predicted, predicted),
        "accuracy": float(numpy.mean(truth == predicted)),
        "true_positive_rate": _ratio(truth & predicted, truth),
        "true_negative_rate": _ratio(~truth & ~predicted, ~truth),
        "false_positive_rate": _ratio(~truth & predicted, ~truth),
        "false_negative_rate": _ratio(truth & ~predicted, truth),
    }
    scores = {
        name: float(metrics.fbeta_score(truth, predicted, beta=beta, zero_division=0.0))
        for name, beta in BETAS.items()
    }
    found = {**rates, **scores, **_constant(truth, "")}
    if told.score is not None and truth.any() and not truth.all():
        found["auc"] = float(metrics.roc_auc_score(truth, told.score))
    return found


def _curves(told: Told) -> Document:
    found: Document = {"confusion_matrix": _confusion(told)}
    truth = told.truth == _positive(told)
    if told.score is not None and truth.any() and not truth.all():
        false, true, _ = metrics.roc_curve(truth, told.score)
        precision, recall, _ = metrics.precision_recall_curve(truth, told.score)
        found["receiver_operating_characteristic_curve"] = {
            "false_positive_rates": _thinned(false),
            "true_positive_rates": _thinned(true),
        }
        found["precision_recall_curve"] = {
            "precisions": _thinned(precision),
            "recalls": _thinned(recall),
        }
    return found


def _multiclass(told: Told) -> dict[str, float]:
    weighted: dict[str, Any] = {"average": "weighted", "zero_division": 0.0}
    truth, predicted = told.truth.astype(str), told.predicted.astype(str)
    scores = {
        f"weighted_{name}": float(metrics.fbeta_score(truth, predicted, beta=beta, **weighted))
        for name, beta in BETAS.items()
    }
    return {
        "accuracy": float(numpy.mean(truth == predicted)),
        "weighted_recall": float(metrics.recall_score(truth, predicted, **weighted)),
        "weighted_precision": float(metrics.precision_score(truth, predicted, **weighted)),
        **scores,
        **_constant(truth, "weighted_"),
    }


def _constant(truth: Any, prefix: str) -> dict[str, float]:
    """What a classifier reaches that always says the most frequent label."""
    labels, counts = numpy.unique(truth, return_counts=True)
    always = numpy.full(len(truth), labels[counts.argmax()])
    how: dict[str, Any] = {"zero_division": 0.0}
    if prefix:
        how["average"] = "weighted"
    told = {
        f"{prefix}recall": metrics.recall_score(truth, always, **how),
        f"{prefix}precision": metrics.precision_score(truth, always, **how),
        "accuracy": metrics.accuracy_score(truth, always),
        **{
            f"{prefix}{name}": metrics.fbeta_score(truth, always, beta=beta, **how)
            for name, beta in BETAS.items()
        },
    }
    return {f"{name}_{CONSTANT}": float(value) for name, value in told.items()}


def _confusion(told: Told) -> Document:
    """True label -> predicted label -> rows."""
    labels = sorted({*map(str, told.truth), *map(str, told.predicted)})
    matrix = metrics.confusion_matrix(
        told.truth.astype(str), told.predicted.astype(str), labels=labels
    )
    return {
        true: {said: int(count) for said, count in zip(labels, row, strict=True)}
        for true, row in zip(labels, matrix, strict=True)
    }


def _ratio(part: Any, whole: Any) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else 0.0


def _thinned(values: Any) -> list[float]:
    """Points of a curve, as many as a picture needs."""
    chosen = numpy.linspace(0, len(values) - 1, min(len(values), CURVE_POINTS)).round().astype(int)
    return [float(value) for value in values[chosen]]


PROBLEMS: Mapping[str, Problem] = {
    "Regression": Problem(
        "regression", _regression, {"mae": GREATER, "mse": GREATER, "rmse": GREATER, "r2": LESS}
    ),
    "BinaryClassification": Problem(
        "binary_classification",
        _binary,
        {
            **dict.fromkeys(("recall", "precision", "accuracy", "true_positive_rate"), LESS),
            "true_negative_rate": LESS,
            "false_positive_rate": GREATER,
            "false_negative_rate": GREATER,
            "auc": LESS,
            **dict.fromkeys(BETAS, LESS),
        },
        _curves,
    ),
    "MulticlassClassification": Problem(
        "multiclass_classification",
        _multiclass,
        {
            "accuracy": LESS,
            "weighted_recall": LESS,
            "weighted_precision": LESS,
            **dict.fromkeys((f"weighted_{name}" for name in BETAS), LESS),
        },
        lambda told: {"confusion_matrix": _confusion(told)},
    ),
}
"""problem_type of CreateModelQualityJobDefinition -> what is computed of it."""
