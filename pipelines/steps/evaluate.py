"""Judge the saved model on days it has not seen, and log the run to MLflow."""

import argparse
import logging
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.steps import job
from pipelines.steps.artifact import MODEL, SIGNATURE, TRUSTED_TYPES, matrix
from pipelines.steps.feature_groups import TARGET
from pipelines.steps.ingest import MANIFEST

REPORT = "evaluation.json"
SLICE = "origin"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default="unspecified")
    parser.add_argument("--execution-id", default="none")
    parser.add_argument("--experiment", default="training")
    arguments = parser.parse_args(argv)
    job.bound_threads()
    estimator, signature = load(job.given("model") / "model.tar.gz")
    frame = pd.read_parquet(job.given("evaluation") / "evaluation.parquet")
    manifest = job.read_json(job.given("evaluation") / MANIFEST)

    scores = estimator.predict_proba(matrix(signature["features"], frame))[:, 1]
    measured = metrics(frame[TARGET].to_numpy(), scores)
    report = {
        "metrics": {name: {"value": value} for name, value in measured.items()},
        "slices": slices(frame, scores),
        "data_hash": signature["data_hash"],
        "training_window": signature["training_window"],
        "evaluation_window": {"start": manifest["train_end"], "end": manifest["end"]},
        "commit": arguments.commit,
        "execution_id": arguments.execution_id,
    }
    path = job.result("evaluation") / REPORT
    job.write_json(path, report)
    print(", ".join(f"{name} {value:.4g}" for name, value in measured.items()))
    if os.environ.get(TRACKING_VARIABLE):
        _log_run(arguments, estimator, measured, report, path)


def load(archive: Path) -> tuple[Any, dict[str, Any]]:
    """The estimator and the signature out of model.tar.gz."""
    import skops.io

    folder = archive.parent / "unpacked"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    estimator = skops.io.load(folder / MODEL, trusted=list(TRUSTED_TYPES))
    return estimator, job.read_json(folder / SIGNATURE)


def metrics(late: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """What the gate, the registry and the experiment know of a model, to six digits."""
    from sklearn.metrics import brier_score_loss, log_loss

    area = auc(late, scores)
    if area is None:
        raise job.StepError("the evaluation days must hold both late and punctual flights")
    measured = {
        "auc": area,
        "brier": brier_score_loss(late, scores),
        "log_loss": log_loss(late, scores),
        "late_rate": late.mean(),
    }
    return {name: round(float(value), 6) for name, value in measured.items()} | {"n": len(late)}


def slices(frame: pd.DataFrame, scores: np.ndarray) -> dict[str, dict[str, float | int | None]]:
    """The AUC at each airport of origin: a model may be good on average and bad at one."""
    found: dict[str, dict[str, float | int | None]] = {}
    for name, rows in frame.reset_index(drop=True).groupby(SLICE):
        area = auc(rows[TARGET].to_numpy(), scores[rows.index])
        found[str(name)] = {"auc": None if area is None else round(area, 6), "n": len(rows)}
    return found


def auc(late: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve; there is none where all flights ended alike."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(late, scores)) if 0 < late.mean() < 1 else None


def _log_run(
    arguments: argparse.Namespace,
    estimator: Any,
    measured: dict[str, float],
    report: dict[str, Any],
    path: Path,
) -> None:
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    import mlflow

    # sagemaker-mlflow's header plugin warns on every call to a server that has no ARN
    logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)
    mlflow.set_experiment(arguments.experiment)
    with mlflow.start_run(run_name=arguments.execution_id) as run:
        mlflow.set_tags({name: report[name] for name in ("commit", "data_hash", "execution_id")})
        mlflow.log_params(_parameters(estimator, report))
        mlflow.log_metrics(measured)
        mlflow.log_artifact(str(path))
    print(f"MLflow run {run.info.run_id}")


def _parameters(estimator: Any, report: dict[str, Any]) -> dict[str, Any]:
    set_ones = {name: value for name, value in estimator.get_params().items() if value is not None}
    window = {f"train_{name}": day for name, day in report["training_window"].items()}
    return set_ones | window


if __name__ == "__main__":
    job.run(main)
