"""Bias metrics of facets: of the labels of a data set, and of what a model predicts.

Formulas: developer guide, "Pre-training Bias Metrics" and "Post-training Data and Model Bias
Metrics". Facet d is the one that a configuration names, facet a all others. Which numbers a
threshold divides is as in AWS's smclarify 0.5: those of a column in which at least a twentieth of
the values differ; others are categories.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import pandas

from stacks.local.runtime.frameworks.clarify.dataset import Dataset
from stacks.local.runtime.frameworks.clarify.predictor import Predictor
from stacks.local.runtime.frameworks.outcome import Refused

Document = dict[str, Any]
CONTINUOUS_SHARE = 0.05
NEIGHBORS = 5
GE_ALPHA = 2


@dataclass(frozen=True)
class Groups:
    """One facet of a data set, row by row."""

    facet: Any
    """Whether a row is in facet d."""
    label: Any
    """Labels as they are: for distributions over all of them."""
    positive: Any
    """Whether a row has the positive label."""
    predicted: Any = None
    """Whether the model says the positive label. Default: it was not asked."""
    features: Any = None
    """What the model was asked with, as numbers."""
    group: Any = None
    """The subgroup of a row, for the conditional metrics. Default: all rows are one."""

    def both(self, of: Callable[[Any], float]) -> tuple[float, float]:
        """A number of facet a and of facet d."""
        return of(~self.facet), of(self.facet)


Metric = Callable[[Groups], float]


def _share(part: Any, whole: Any) -> float:
    """Undefined (NaN) where there is nothing in the whole."""
    return float(part.sum()) / float(whole.sum()) if whole.sum() else math.nan


def _ratio(above: float, below: float) -> float:
    if below:
        return above / below
    return math.nan if above == 0 or math.isnan(above) else math.copysign(math.inf, above)


def _difference(of: Callable[[Groups, Any], float], *, of_d_first: bool = False) -> Metric:
    """A number of facet a less that of facet d."""

    def metric(groups: Groups) -> float:
        a, d = groups.both(lambda rows: of(groups, rows))
        return d - a if of_d_first else a - d

    return metric


def _distributions(groups: Groups) -> tuple[Any, Any]:
    """Shares of each label in facet a and in facet d."""
    labels = sorted(set(groups.label), key=str)
    a, d = (
        numpy.array([_share((groups.label == label) & rows, rows) for label in labels])
        for rows in (~groups.facet, groups.facet)
    )
    return a, d


def _divergence(p: Any, q: Any) -> float:
    """KL; infinite where q lacks what p has."""
    there = p > 0
    if (q[there] == 0).any():
        return math.inf
    return float((p[there] * numpy.log(p[there] / q[there])).sum())


def _js(groups: Groups) -> float:
    a, d = _distributions(groups)
    middle = (a + d) / 2
    return (_divergence(a, middle) + _divergence(d, middle)) / 2


def _conditional(groups: Groups, positive: Any) -> float:
    """Demographic disparity, as a mean over subgroups by their size."""
    if groups.group is None:
        raise Refused("the conditional metrics CDDL and CDDPL need group_variable")
    total = 0.0
    for name in set(groups.group):
        rows = groups.group == name
        rejected = _share(rows & ~positive & groups.facet, rows & ~positive)
        accepted = _share(rows & positive & groups.facet, rows & positive)
        total += float(rows.sum()) * (_zero(rejected) - _zero(accepted))
    return total / len(groups.group)


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


BEFORE: Mapping[str, tuple[str, Metric]] = {
    "CDDL": (
        "Conditional Demographic Disparity in Labels (CDDL)",
        lambda g: _conditional(g, g.positive),
    ),
    "CI": (
        "Class Imbalance (CI)",
        lambda g: _ratio(float((~g.facet).sum() - g.facet.sum()), float(len(g.facet))),
    ),
    "DPL": (
        "Difference in Positive Proportions in Labels (DPL)",
        _difference(lambda g, rows: _share(g.positive & rows, rows)),
    ),
    "JS": ("Jensen-Shannon Divergence (JS)", _js),
    "KL": ("Kullback-Liebler Divergence (KL)", lambda g: _divergence(*_distributions(g))),
    "KS": (
        "Kolmogorov-Smirnov Distance (KS)",
        lambda g: float(numpy.abs(numpy.subtract(*_distributions(g))).max()),
    ),
    "LP": (
        "L-p Norm (LP)",
        lambda g: float(numpy.linalg.norm(numpy.subtract(*_distributions(g)))),
    ),
    "TVD": (
        "Total Variation Distance (TVD)",
        lambda g: float(numpy.abs(numpy.subtract(*_distributions(g))).sum()) / 2,
    ),
}
"""Metric of labels -> its full name, and how it is computed."""


def _accuracy(g: Groups, rows: Any) -> float:
    return _share((g.predicted == g.positive) & rows, rows)


def _treatment(g: Groups, rows: Any) -> float:
    """False negatives for each false positive."""
    false_negative = float((g.positive & ~g.predicted & rows).sum())
    return _ratio(false_negative, float((~g.positive & g.predicted & rows).sum()))


def _impact(g: Groups) -> float:
    a, d = g.both(lambda rows: _share(g.predicted & rows, rows))
    return _ratio(d, a)


def _fliptest(g: Groups) -> float:
    """By how much more members of facet d would be accepted if they were of facet a."""
    from sklearn.neighbors import KNeighborsClassifier

    a, d = ~g.facet, g.facet
    nearest = KNeighborsClassifier(n_neighbors=min(NEIGHBORS, int(a.sum())))
    nearest.fit(g.features[a], g.predicted[a])
    flipped = nearest.predict(g.features[d])
    better, worse = flipped & ~g.predicted[d], ~flipped & g.predicted[d]
    return float(better.sum() - worse.sum()) / float(d.sum())


def _entropy(g: Groups) -> float:
    benefit = g.predicted.astype(float) - g.positive.astype(float) + 1
    mean = float(benefit.mean())
    if mean == 0:
        return math.nan
    return float(((benefit / mean) ** GE_ALPHA - 1).mean()) / (GE_ALPHA * (GE_ALPHA - 1))


AFTER: Mapping[str, tuple[str, Metric]] = {
    "AD": ("Accuracy Difference (AD)", _difference(_accuracy)),
    "CDDPL": (
        "Conditional Demographic Disparity in Predicted Labels (CDDPL)",
        lambda g: _conditional(g, g.predicted),
    ),
    "DAR": (
        "Difference in Acceptance Rates (DAR)",
        _difference(lambda g, rows: _share(g.positive & g.predicted & rows, g.predicted & rows)),
    ),
    "DCA": (
        "Difference in Conditional Acceptance (DCA)",
        _difference(lambda g, rows: _share(g.positive & rows, g.predicted & rows)),
    ),
    "DCR": (
        "Difference in Conditional Rejection (DCR)",
        _difference(
            lambda g, rows: _share(~g.positive & rows, ~g.predicted & rows), of_d_first=True
        ),
    ),
    "DI": ("Disparate Impact (DI)", _impact),
    "DPPL": (
        "Difference in Positive Proportions in Predicted Labels (DPPL)",
        _difference(lambda g, rows: _share(g.predicted & rows, rows)),
    ),
    "DRR": (
        "Difference in Rejection Rates (DRR)",
        _difference(
            lambda g, rows: _share(~g.positive & ~g.predicted & rows, ~g.predicted & rows),
            of_d_first=True,
        ),
    ),
    "FT": ("Flip Test (FT)", _fliptest),
    "GE": ("Generalized Entropy (GE)", _entropy),
    "RD": (
        "Recall Difference (RD)",
        _difference(lambda g, rows: _share(g.positive & g.predicted & rows, g.positive & rows)),
    ),
    "SD": (
        "Specificity Difference (SD)",
        _difference(
            lambda g, rows: _share(~g.positive & ~g.predicted & rows, ~g.positive & rows),
            of_d_first=True,
        ),
    ),
    "TE": ("Treatment Equality (TE)", _difference(_treatment, of_d_first=True)),
}
"""Metric of predictions -> its full name, and how it is computed."""

CONDITIONAL = ("CDDL", "CDDPL")


@dataclass(frozen=True)
class Judged:
    """Labels and predictions, row by row."""

    positive: Any
    """Whether a row has the positive label."""
    said: str
    """Which label that is."""
    predicted: Any = None
    """Whether the model says it. Default: it was not asked."""


def before_training(data: Dataset, config: Mapping[str, Any]) -> Document:
    """pre_training_bias_metrics of analysis.json."""
    return _metrics(data, config, "pre_training_bias", _judged(data, config))


def after_training(data: Dataset, config: Mapping[str, Any], ask: Predictor | None) -> Document:
    """post_training_bias_metrics of analysis.json."""
    judged = _judged(data, config)
    told = data.predicted if ask is None else ask.labels(data.features)
    if told.dtype == bool:
        predicted = told.to_numpy()
    else:
        predicted, _ = _chosen(told, config["label_values_or_threshold"], of=data.label)
    return _metrics(data, config, "post_training_bias", replace(judged, predicted=predicted))


KNOWN = {"pre_training_bias": BEFORE, "post_training_bias": AFTER}


def _metrics(data: Dataset, config: Mapping[str, Any], method: str, judged: Judged) -> Document:
    known, wanted = KNOWN[method], config["methods"][method].get("methods", "all")
    names = list(known) if wanted == "all" else [wanted] if isinstance(wanted, str) else wanted
    if unknown := sorted(set(names) - known.keys()):
        raise Refused(f"methods.{method} must be of {', '.join(known)}, got {', '.join(unknown)}")
    if config.get("group_variable") is None and wanted == "all":
        names = [name for name in names if name not in CONDITIONAL]
    group = (
        data.column(config["group_variable"], "group_variable").to_numpy()
        if config.get("group_variable") is not None
        else None
    )
    features = _numbers(data.features) if "FT" in names else None
    facets: dict[str, list[Document]] = {}
    for column, value, rows in _facets(data, config):
        labels = data.label.to_numpy()
        groups = Groups(rows, labels, judged.positive, judged.predicted, features, group)
        facets.setdefault(column, []).append(
            {
                "value_or_threshold": value,
                "metrics": [
                    {"name": name, "description": known[name][0], **_value(known[name][1](groups))}
                    for name in sorted(names)
                ],
            }
        )
    return {
        "label": str(data.label.name),
        "label_value_or_threshold": judged.said,
        "facets": facets,
    }


def _value(value: float) -> Document:
    """JSON has neither NaN nor infinity."""
    if math.isnan(value):
        return {"value": None, "error": "there is nothing to divide by"}
    return {"value": value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")}


def _judged(data: Dataset, config: Mapping[str, Any]) -> Judged:
    if data.label is None:
        raise Refused("label must name the column of the labels: bias is measured by them")
    values = config.get("label_values_or_threshold")
    if not values:
        raise Refused("label_values_or_threshold must say which labels are positive")
    return Judged(*_chosen(data.label, values))


def _facets(data: Dataset, config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name, value and rows of each facet."""
    told = config.get("facet")
    if not told:
        raise Refused("facet must name the columns whose groups are compared")
    for facet in told:
        column = data.column(facet["name_or_index"], "facet.name_or_index")
        values = facet.get("value_or_threshold")
        if values and _is_continuous(column, values):
            rows, said = _chosen(column, values)
            chosen = [(said, rows)]
        else:
            each = values or sorted(column.dropna().unique().tolist(), key=str)
            chosen = [(str(value), _chosen(column, [value], categories=True)[0]) for value in each]
        for said, rows in chosen:
            if rows.all() or not rows.any():
                raise Refused(
                    f"facet {column.name} {said} must divide the rows, it has all or none"
                )
            yield str(column.name), said, rows


def _chosen(
    column: Any, values: Sequence[Any], *, of: Any = None, categories: bool = False
) -> tuple[Any, str]:
    """Which rows have one of the values or are above the threshold, and how that is said.

    `of`: the column that decides whether it is a threshold. Default: the column itself.
    """
    judged = column if of is None else of
    if not categories and _is_continuous(judged, values):
        threshold = float(values[0])
        numbers = pandas.to_numeric(column)
        said = f"({threshold:g}, {float(pandas.to_numeric(judged).max()):g}]"
        return (numbers > threshold).to_numpy(), said
    wanted = {_word(value) for value in values}
    return column.map(_word).isin(wanted).to_numpy(), ", ".join(map(str, values))


def _is_continuous(column: Any, values: Sequence[Any]) -> bool:
    numeric = pandas.api.types.is_numeric_dtype(column) and column.dtype != bool
    if not numeric or len(values) > 1 or column.count() == 0:
        return False
    return bool(column.nunique() > 2 and column.nunique() / column.count() >= CONTINUOUS_SHARE)


def _word(value: Any) -> str:
    """A category as text: 1, 1.0 and "1" are the same."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value).strip()
    return str(int(number)) if number.is_integer() else str(number)


def _numbers(features: Any) -> Any:
    return pandas.get_dummies(features).fillna(0).to_numpy(dtype=float)
