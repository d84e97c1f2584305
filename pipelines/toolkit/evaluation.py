"""The program of an Evaluate step: judge the saved model on days it has not seen, beside a guess.

The guess is what anybody would say who looked at the training days once. A metric of the model
means little without the same metric of the guess, so the report and the experiment hold both.
"""

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.toolkit import artifact, job, sets
from pipelines.toolkit.artifact import Answer

REPORT = "evaluation.json"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"

Metrics = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """How answers of one workload's model are measured."""

    target: str
    """Column of the truth."""

    slice_by: str
    """Column whose values are also judged one by one: a model may be good on average and bad at
    one."""

    score: Callable[[Sequence[Answer], Sequence[float]], Metrics]
    """Measures answers against the truth."""

    baseline: Callable[[pd.DataFrame, pd.DataFrame], Sequence[Answer]]
    """What a guess from the training set says of other rows."""


def main(argv: list[str], judge: Judge) -> None:
    arguments = _parser().parse_args(argv)
    job.bound_threads()
    model, signature = artifact.load(job.given("model") / "model.tar.gz")
    train, _ = sets.read(job.given("train"), "train")
    frame, manifest = sets.read(job.given("evaluation"), "evaluation")

    truth = frame[judge.target].tolist()
    said = artifact.answers(model, signature, frame)
    measured = {**judge.score(said, truth), "n": len(truth)}
    guessed = {**judge.score(judge.baseline(train, frame), truth), "n": len(truth)}
    report = {
        "metrics": {name: {"value": value} for name, value in measured.items()},
        "baseline": {name: {"value": value} for name, value in guessed.items()},
        "slices": slices(frame, said, judge),
        "data_hash": signature["data_hash"],
        "training_window": signature["training_window"],
        "evaluation_window": {"start": manifest["train_end"], "end": manifest["end"]},
        "commit": arguments.commit,
        "execution_id": arguments.execution_id,
    }
    path = job.result("evaluation") / REPORT
    job.write_json(path, report)
    for who, found in (("model", measured), ("baseline", guessed)):
        print(f"{who}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    if os.environ.get(TRACKING_VARIABLE):
        _log_run(arguments, model, report, path)


def slices(
    frame: pd.DataFrame, said: Sequence[Answer], judge: Judge
) -> dict[str, dict[str, float]]:
    """The metrics of each value of a column by itself."""
    found: dict[str, dict[str, float]] = {}
    for name, rows in frame.reset_index(drop=True).groupby(judge.slice_by):
        measured = judge.score([said[at] for at in rows.index], rows[judge.target].tolist())
        found[str(name)] = {**measured, "n": len(rows)}
    return found


def _log_run(arguments: argparse.Namespace, model: Any, report: dict[str, Any], path: Path) -> None:
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    import mlflow

    # sagemaker-mlflow's header plugin warns on every call to a server that has no ARN
    logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)
    numbers = {name: entry["value"] for name, entry in report["metrics"].items()}
    numbers |= {
        f"baseline_{name}": entry["value"]
        for name, entry in report["baseline"].items()
        if name != "n"
    }
    mlflow.set_experiment(arguments.experiment)
    with mlflow.start_run(run_name=arguments.execution_id) as run:
        mlflow.set_tags({name: report[name] for name in ("commit", "data_hash", "execution_id")})
        mlflow.log_params(_parameters(model, report))
        mlflow.log_metrics(numbers)
        mlflow.log_artifact(str(path))
    print(f"MLflow run {run.info.run_id}")


def _parameters(model: Any, report: dict[str, Any]) -> dict[str, Any]:
    """What the estimators were set to, where they agree, and the training window."""
    each = [estimator.get_params() for estimator in (model if isinstance(model, list) else [model])]
    common = {
        name: value
        for name, value in each[0].items()
        if value is not None and all(other[name] == value for other in each)
    }
    return common | {f"train_{name}": day for name, day in report["training_window"].items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default="unspecified")
    parser.add_argument("--execution-id", default="none")
    parser.add_argument("--experiment", default="training")
    return parser
