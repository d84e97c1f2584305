"""Fit one regressor per quantile, and save them with the signature that says what they eat."""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.block_time.feature_groups import COLUMNS, QUANTILES, TARGET
from pipelines.toolkit import artifact, job, sets

HYPERPARAMETERS = {
    "learning_rate": float,
    "max_iter": int,
    "max_leaf_nodes": int,
    "min_samples_leaf": int,
    "seed": int,
}


def main(argv: list[str]) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    job.bound_threads()
    frame, manifest = sets.read(job.opt_ml() / "input" / "data" / "train", "train")
    settings = job.hyperparameters(HYPERPARAMETERS)
    print(f"training on {len(frame):,} flights: {settings}")

    features = artifact.describe(frame, COLUMNS)
    estimators = fit(artifact.matrix(features, frame), frame[TARGET].to_numpy(), settings)
    target = {
        "name": TARGET,
        "kind": "number",
        "outputs": list(QUANTILES),
        "quantiles": list(QUANTILES.values()),
        "unit": "minutes",
    }
    signature = artifact.signature(features, target, len(frame), manifest)
    size = artifact.save(estimators, job.opt_ml() / "model", signature)
    print(f"saved {len(estimators)} quantiles on {len(features)} features, {size / 1e6:.1f} MB")


def fit(rows: np.ndarray, minutes: np.ndarray, settings: Mapping[str, Any]) -> list[Any]:
    """A fitted regressor per quantile; the same rows and settings give the same trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    others = {name: value for name, value in settings.items() if name != "seed"}
    return [
        HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            random_state=settings.get("seed", 0),
            early_stopping=False,
            **others,
        ).fit(rows, minutes)
        for quantile in QUANTILES.values()
    ]


if __name__ == "__main__":
    job.run(main)
