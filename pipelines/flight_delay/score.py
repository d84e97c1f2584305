"""How good probabilities of delay are, beside what anybody would say who knows the base rate."""

from collections.abc import Sequence

import pandas as pd

from pipelines.flight_delay.feature_groups import TARGET
from pipelines.toolkit.artifact import Answer


def score(answers: Sequence[Answer], truth: Sequence[float]) -> dict[str, float]:
    """AUC, Brier score and log loss, to six digits; no AUC where all flights ended alike."""
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    said = [answer["probability"] for answer in answers]
    measured = {
        "brier": brier_score_loss(truth, said),
        "log_loss": log_loss(truth, said, labels=[0, 1]),
    }
    if 0 < sum(truth) < len(truth):
        measured["auc"] = roc_auc_score(truth, said)
    return {name: round(float(value), 6) for name, value in sorted(measured.items())}


def baseline(train: pd.DataFrame, frame: pd.DataFrame) -> list[Answer]:
    """The share of late flights in training, whatever the flight."""
    return [{"probability": float(train[TARGET].mean())}] * len(frame)
