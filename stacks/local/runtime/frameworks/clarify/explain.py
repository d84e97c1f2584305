"""Why a model predicts what it does: SHAP values and partial dependence.

Kernel SHAP is the shap library's (MIT), installed when a job asks for it; AWS's image brings it.
Source: developer guide, "Analysis Configuration Files" (methods.shap, methods.pdp) and "Analysis
Results".
"""

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import pandas

from stacks.local.runtime.frameworks.clarify.dataset import Dataset
from stacks.local.runtime.frameworks.clarify.predictor import Predictor
from stacks.local.runtime.frameworks.install import install
from stacks.local.runtime.frameworks.outcome import Refused

Document = dict[str, Any]
SEED = 7
AGGREGATED: Mapping[str, Callable[[Any], Any]] = {
    "mean_abs": lambda values: numpy.abs(values).mean(axis=0),
    "mean_sq": lambda values: (values**2).mean(axis=0),
    "median": lambda values: numpy.median(numpy.abs(values), axis=0),
}
"""agg_method -> global values of local ones."""

FEW = 10
"""Values of a column of numbers that are told one by one in a partial dependence."""


def explanations(
    data: Dataset, config: Mapping[str, Any], ask: Predictor, output: Path
) -> Document:
    """explanations of analysis.json; local values and baselines are written beside it."""
    methods, found = config["methods"], Document()
    if "shap" in methods:
        found["kernel_shap"] = _shap(data, config, ask, output / "explanations_shap")
    if "pdp" in methods:
        ranked = _ranked(found.get("kernel_shap"))
        found["pdp"] = _dependence(data, methods["pdp"], ask, ranked)
    return found


# -- SHAP


def _shap(data: Dataset, config: Mapping[str, Any], ask: Predictor, output: Path) -> Document:
    told, features = config["methods"]["shap"] or {}, data.features
    how = str(told.get("agg_method", "mean_abs")).lower()
    if how not in AGGREGATED:
        raise Refused(f"methods.shap.agg_method must be of {', '.join(AGGREGATED)}, got {how}")
    baseline = _baseline(told, features)
    codes = _Codes(pandas.concat([baseline, features], ignore_index=True))
    coded = codes.coded(features)
    explainer = _library().KernelExplainer(
        lambda rows: ask.scores(codes.decoded(rows)),
        codes.coded(baseline),
        link="logit" if told.get("use_logit") else "identity",
        seed=int(told.get("seed", SEED)),
    )
    values = numpy.asarray(
        explainer.shap_values(coded, nsamples=told.get("num_samples", "auto"), silent=True)
    )
    if values.ndim == 2:
        values = values[:, :, None]
    labels = _labels(ask, values.shape[2])
    expected = numpy.atleast_1d(explainer.expected_value)
    output.mkdir(parents=True, exist_ok=True)
    baseline.to_csv(output / "baseline.csv", index=False)
    if told.get("save_local_shap_values", True):
        _save(values, labels, list(map(str, features.columns)), output / "out.csv")
    names = list(map(str, features.columns))
    return {
        label: {
            "global_shap_values": dict(
                zip(names, AGGREGATED[how](values[:, :, n]).tolist(), strict=True)
            ),
            "expected_value": float(expected[n]),
        }
        for n, label in enumerate(labels)
    }


def _library() -> Any:
    """The shap library, installed where it is not."""
    try:
        return importlib.import_module("shap")
    except ModuleNotFoundError:
        if install(["shap"]):
            raise Refused("the library shap could not be installed, see the job's log") from None
        importlib.invalidate_caches()
        return importlib.import_module("shap")


def _baseline(told: Mapping[str, Any], features: pandas.DataFrame) -> pandas.DataFrame:
    """What features are compared with: told, in a file, or the middle of the data's clusters."""
    given = told.get("baseline")
    if given is None:
        return _clusters(features, int(told.get("num_clusters") or 1))
    rows: list[Any]
    if isinstance(given, str):
        rows = _fetch(given)
    elif isinstance(given, Mapping):
        rows = given.get("instances", given.get("features", [given]))
    else:
        rows = list(given)
    rows = [row.get("features", row) if isinstance(row, Mapping) else row for row in rows]
    table = pandas.DataFrame(rows)
    if table.shape[1] != features.shape[1]:
        raise Refused(
            f"methods.shap.baseline must have {features.shape[1]} features as the data set has, "
            f"got {table.shape[1]}"
        )
    table.columns = features.columns
    return table


def _fetch(uri: str) -> list[Any]:
    """Rows of a baseline file in S3, CSV or JSON lines."""
    import boto3

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    text = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    if text.lstrip().startswith("{"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    lines = [line.split(",") for line in text.splitlines() if line.strip()]
    return [[_cell(cell) for cell in line] for line in lines]


def _cell(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _clusters(features: pandas.DataFrame, count: int) -> pandas.DataFrame:
    """The middle of each cluster: means of numbers, the most frequent of other values."""
    from sklearn.cluster import KMeans

    numbers = pandas.get_dummies(features).fillna(0).to_numpy(dtype=float)
    spread = numbers.std(axis=0)
    scaled = (numbers - numbers.mean(axis=0)) / numpy.where(spread > 0, spread, 1)
    count = max(1, min(count, len(features)))
    cluster = KMeans(n_clusters=count, random_state=SEED, n_init=3).fit_predict(scaled)
    middles = [
        {
            name: column[cluster == n].mean()
            if pandas.api.types.is_numeric_dtype(column)
            else column[cluster == n].mode().iloc[0]
            for name, column in features.items()
        }
        for n in sorted(set(cluster))
    ]
    return pandas.DataFrame(middles, columns=features.columns)


class _Codes:
    """Features as numbers and back: the library computes with numbers alone."""

    def __init__(self, table: pandas.DataFrame) -> None:
        self._columns = table.columns
        self._values = {
            name: list(dict.fromkeys(column))
            for name, column in table.items()
            if not pandas.api.types.is_numeric_dtype(column)
        }
        self._whole = {
            name for name, column in table.items() if pandas.api.types.is_integer_dtype(column)
        }

    def coded(self, table: pandas.DataFrame) -> Any:
        columns = [
            column.map(self._values[name].index) if name in self._values else column
            for name, column in table.items()
        ]
        return numpy.column_stack([column.to_numpy(dtype=float) for column in columns])

    def decoded(self, rows: Any) -> pandas.DataFrame:
        table = pandas.DataFrame(rows, columns=self._columns)
        for name, values in self._values.items():
            table[name] = table[name].map(lambda code, values=values: values[round(code)])
        for name in self._whole:
            table[name] = table[name].astype("int64")
        return table


def _labels(ask: Predictor, count: int) -> list[str]:
    headers = ask.told.get("label_headers") or []
    return [str(headers[n]) if len(headers) == count else f"label{n}" for n in range(count)]


def _save(values: Any, labels: list[str], names: list[str], path: Path) -> None:
    """Local values: a column for each feature and label."""
    columns = {
        f"{name}_{label}" if len(labels) > 1 else f"{name}_label0": values[:, f, n]
        for n, label in enumerate(labels)
        for f, name in enumerate(names)
    }
    pandas.DataFrame(columns).to_csv(path, index=False)


# -- partial dependence


def _ranked(found: Mapping[str, Any] | None) -> list[str]:
    """Features by what they matter for the first label."""
    if not found:
        return []
    values = next(iter(found.values()))["global_shap_values"]
    return sorted(values, key=lambda name: -abs(values[name]))


def _dependence(
    data: Dataset, told: Mapping[str, Any], ask: Predictor, ranked: list[str]
) -> list[Document]:
    wanted = told.get("features")
    if not wanted and not ranked:
        raise Refused("methods.pdp must name features, or shap must be asked for too")
    names = wanted or ranked[: int(told.get("top_k_features", len(ranked)))]
    grid = int(told.get("grid_resolution", 15))
    return [_of_feature(data, one, grid, ask) for one in names]


def _of_feature(data: Dataset, which: Any, grid: int, ask: Predictor) -> Document:
    """Mean predictions where a feature has one value in every row."""
    features = data.features
    if isinstance(which, int) and which not in features.columns:
        which = data.table.columns[which] if which < data.table.shape[1] else which
    if which not in features.columns:
        known = ", ".join(map(str, features.columns))
        raise Refused(f"methods.pdp.features must be of {known}, got {which}")
    column = features[which]
    numeric = pandas.api.types.is_numeric_dtype(column) and column.nunique() > FEW
    if numeric:
        counts, edges = numpy.histogram(column.dropna(), bins=grid)
        values: list[Any] = edges.tolist()
        shares = (counts / len(column)).tolist()
        if pandas.api.types.is_integer_dtype(column):
            values = sorted({round(value) for value in values})
    else:
        frequent = column.value_counts(normalize=True).head(grid)
        values, shares = frequent.index.tolist(), frequent.tolist()
    means = [ask.scores(features.assign(**{str(which): value})).mean(axis=0) for value in values]
    by_label = numpy.asarray(means).T.tolist()
    return {
        "feature_name": str(which),
        "data_type": "numerical" if numeric else "categorical",
        "feature_values": values,
        "model_predictions": by_label,
        "feature_distribution": shares,
    }
