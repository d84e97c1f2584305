"""Fit the classifier, and save it with the signature that says what it eats."""

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.flight_delay.feature_groups import COLUMNS, TARGET
from pipelines.toolkit import artifact, job, sets

HYPERPARAMETERS = {
    "learning_rate": float,
    "max_iter": int,
    "max_leaf_nodes": int,
    "min_samples_leaf": int,
    "l2_regularization": float,
    "max_features": float,
    "seed": int,
}


def main(argv: list[str]) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    job.bound_threads()
    frame, manifest = sets.read(job.opt_ml() / "input" / "data" / "train", "train")
    settings = job.hyperparameters(HYPERPARAMETERS)
    print(f"training on {len(frame):,} flights: {settings}")

    features = artifact.describe(frame, COLUMNS)
    estimator = fit(artifact.matrix(features, frame), frame[TARGET].to_numpy(), settings)
    target = {"name": TARGET, "kind": "binary", "rate": round(frame[TARGET].mean(), 6)}
    signature = artifact.signature(features, target, len(frame), manifest)
    size = artifact.save(estimator, job.opt_ml() / "model", signature)
    print(f"saved {estimator.n_iter_} trees on {len(features)} features, {size / 1e6:.1f} MB")


def fit(rows: np.ndarray, late: np.ndarray, settings: Mapping[str, Any]) -> Any:
    """The fitted classifier; the same rows and settings give the same trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    others = {name: value for name, value in settings.items() if name != "seed"}
    estimator = HistGradientBoostingClassifier(
        random_state=settings.get("seed", 0), early_stopping=False, **others
    )
    return estimator.fit(rows, late)


if __name__ == "__main__":
    job.run(main)
