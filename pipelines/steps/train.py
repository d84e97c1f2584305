"""Fit the classifier, and save it with the signature that says what it eats."""

import argparse
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.steps import job
from pipelines.steps.artifact import FORMAT, MODEL, SIGNATURE, TRUSTED_TYPES, matrix
from pipelines.steps.feature_groups import CATEGORICAL, NULLABLE, NUMERIC, TARGET
from pipelines.steps.ingest import MANIFEST

HYPERPARAMETERS = {
    "learning_rate": float,
    "max_iter": int,
    "max_leaf_nodes": int,
    "min_samples_leaf": int,
    "l2_regularization": float,
    "max_features": float,
    "seed": int,
}
SMOOTHING = 20
"""Flights at the mean rate that are added to each name before names are ordered by their rate."""


def main(argv: list[str]) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    job.bound_threads()
    channel = job.opt_ml() / "input" / "data" / "train"
    frame = pd.read_parquet(channel / "train.parquet")
    manifest = job.read_json(channel / MANIFEST)
    settings = _hyperparameters(job.opt_ml() / "input" / "config" / "hyperparameters.json")
    print(f"training on {len(frame):,} flights: {settings}")

    features = describe(frame)
    estimator = fit(matrix(features, frame), frame[TARGET].to_numpy(), settings)
    folder = job.opt_ml() / "model"
    folder.mkdir(parents=True, exist_ok=True)
    save(estimator, folder / MODEL)
    job.write_json(folder / SIGNATURE, signature(features, frame, manifest))
    size = (folder / MODEL).stat().st_size
    print(f"saved {estimator.n_iter_} trees on {len(features)} features, {size / 1e6:.1f} MB")


def fit(rows: np.ndarray, late: np.ndarray, settings: Mapping[str, Any]) -> Any:
    """The fitted classifier; the same rows and settings give the same trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    others = {name: value for name, value in settings.items() if name != "seed"}
    estimator = HistGradientBoostingClassifier(
        random_state=settings.get("seed", 0), early_stopping=False, **others
    )
    return estimator.fit(rows, late)


def describe(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What each feature looked like in training.

    Names stand in the order of their late rate, so that one split of a tree can part the punctual
    from the late; a rare name is pulled to the mean.
    """
    mean = frame[TARGET].mean()
    described: list[dict[str, Any]] = []
    for name in NUMERIC:
        values = frame[name]
        described.append(
            {
                "name": name,
                "kind": "numeric",
                "minimum": None if values.isna().all() else float(values.min()),
                "maximum": None if values.isna().all() else float(values.max()),
                "nullable": name in NULLABLE,
            }
        )
    for name in CATEGORICAL:
        seen = frame.groupby(name)[TARGET].agg(["sum", "count"]).sort_index()
        rate = (seen["sum"] + SMOOTHING * mean) / (seen["count"] + SMOOTHING)
        ordered = rate.sort_values(kind="stable").index
        described.append({"name": name, "kind": "categorical", "categories": list(ordered)})
    return described


def signature(
    features: list[dict[str, Any]], frame: pd.DataFrame, manifest: dict[str, Any]
) -> dict[str, Any]:
    """What a server needs to know, and what a person asks of a model found somewhere."""
    return {
        "format": FORMAT,
        "features": features,
        "target": {"name": TARGET, "kind": "binary", "rate": round(frame[TARGET].mean(), 6)},
        "data_hash": manifest["data_hash"],
        "training_window": {"start": manifest["train_start"], "end": manifest["train_end"]},
        "rows": len(frame),
        "versions": {package: version(package) for package in ("numpy", "scikit-learn", "skops")},
    }


def save(estimator: Any, path: Path) -> None:
    """Save with skops; a model that the serving side would refuse fails here."""
    import skops.io

    skops.io.dump(estimator, path)
    untrusted = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)
    if untrusted:
        raise job.StepError(
            f"the model holds types that serving refuses: {', '.join(sorted(untrusted))}"
        )


def _hyperparameters(path: Path) -> dict[str, Any]:
    given = job.read_json(path) if path.exists() else {}
    unknown = sorted(given.keys() - HYPERPARAMETERS.keys())
    if unknown:
        raise job.StepError(f"hyperparameters must be {', '.join(HYPERPARAMETERS)}, got {unknown}")
    return {name: HYPERPARAMETERS[name](value) for name, value in given.items()}


if __name__ == "__main__":
    job.run(main)
