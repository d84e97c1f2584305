"""The model artefact: estimators saved with skops, and the signature that says what they eat.

Serving knows this format and nothing else of the pipeline. A classifier is one estimator; a model
of quantiles is a list of one estimator per output, in the order of the signature's outputs.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.toolkit import archives, job
from pipelines.toolkit.feature_group import Columns

MODEL = "model.skops"
SIGNATURE = "signature.json"
FORMAT = 1
"""Of the signature; a server refuses one that it does not know."""

TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""What a model may consist of besides skops' own list; serving holds the same tuple."""

SMOOTHING = 20
"""Rows at the mean that are added to each name before names are ordered by their target."""

Answer = Mapping[str, float]
"""One prediction, as an endpoint gives it: `{"probability": 0.2}`."""


def describe(frame: pd.DataFrame, columns: Columns) -> list[dict[str, Any]]:
    """What each feature looked like in training.

    Names stand in the order of their mean target, so that one split of a tree can part the low from
    the high; a rare name is pulled to the mean.
    """
    mean = frame[columns.target].mean()
    described: list[dict[str, Any]] = []
    for name in columns.numeric:
        values = frame[name]
        described.append(
            {
                "name": name,
                "kind": "numeric",
                "minimum": None if values.isna().all() else float(values.min()),
                "maximum": None if values.isna().all() else float(values.max()),
                "nullable": name in columns.nullable,
            }
        )
    for name in columns.categorical:
        seen = frame.groupby(name)[columns.target].agg(["sum", "count"]).sort_index()
        rate = (seen["sum"] + SMOOTHING * mean) / (seen["count"] + SMOOTHING)
        described.append(
            {
                "name": name,
                "kind": "categorical",
                "categories": list(rate.sort_values(kind="stable").index),
                "nullable": name in columns.nullable,
            }
        )
    return described


def matrix(features: Sequence[Mapping[str, Any]], frame: pd.DataFrame) -> np.ndarray:
    """Rows as the estimator takes them: numbers as they are, names by their place in `categories`.

    What is null, or a name that training never saw, is NaN: the trees have a branch for it.
    """
    columns = []
    for feature in features:
        values = frame[feature["name"]]
        if feature["kind"] == "categorical":
            codes = {name: float(at) for at, name in enumerate(feature["categories"])}
            values = values.map(codes)
        columns.append(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.column_stack(columns)


def signature(
    features: list[dict[str, Any]],
    target: Mapping[str, Any],
    rows: int,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """What a server needs to know, and what a person asks of a model found somewhere.

    The target has a `name` and a `kind`: `binary`, or `number` with the names of its `outputs`.
    """
    return {
        "format": FORMAT,
        "features": features,
        "target": dict(target),
        "data_hash": manifest["data_hash"],
        "training_window": {"start": manifest["train_start"], "end": manifest["train_end"]},
        "rows": rows,
        "versions": {package: version(package) for package in ("numpy", "scikit-learn", "skops")},
    }


def save(model: Any, folder: Path, described: Mapping[str, Any]) -> int:
    """Save with skops, beside the signature; a model that serving would refuse fails here.

    Returns the size in bytes.
    """
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL
    skops.io.dump(model, path)
    untrusted = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)
    if untrusted:
        raise job.StepError(
            f"the model holds types that serving refuses: {', '.join(sorted(untrusted))}"
        )
    job.write_json(folder / SIGNATURE, described)
    return path.stat().st_size


def load(archive: Path) -> tuple[Any, dict[str, Any]]:
    """The model and the signature out of model.tar.gz."""
    import skops.io

    folder = archive.parent / "unpacked"
    try:
        archives.unpack(archive, folder)
    except archives.Refused as error:
        raise job.StepError(f"the model cannot be unpacked: {error}") from error
    model = skops.io.load(folder / MODEL, trusted=list(TRUSTED_TYPES))
    return model, job.read_json(folder / SIGNATURE)


def answers(model: Any, described: Mapping[str, Any], frame: pd.DataFrame) -> list[Answer]:
    """What the model says of each row, as an endpoint would."""
    rows, target = matrix(described["features"], frame), described["target"]
    if target["kind"] == "binary":
        return [{"probability": value} for value in model.predict_proba(rows)[:, 1].tolist()]
    # each quantile has a model of its own: where two cross, they change places
    found = np.sort([estimator.predict(rows) for estimator in model], axis=0).T.tolist()
    return [dict(zip(target["outputs"], values, strict=True)) for values in found]
