"""How good predicted minutes are, beside what anybody would say who knows the route."""

from collections.abc import Sequence

import pandas as pd

from pipelines.block_time.feature_groups import QUANTILES, TARGET
from pipelines.toolkit.artifact import Answer

ROUTE = ["origin", "dest"]


def score(answers: Sequence[Answer], truth: Sequence[float]) -> dict[str, float]:
    """To six digits: MAE of the median, mean pinball loss of the quantiles, and coverage.

    Coverage is the share of flights between the lowest and the highest quantile; it should be the
    distance of the two, 0.8.
    """
    import numpy as np

    flown = np.asarray(truth, dtype=float)
    said = {name: np.asarray([answer[name] for answer in answers]) for name in QUANTILES}
    losses = [
        np.maximum(share * (flown - said[name]), (share - 1) * (flown - said[name])).mean()
        for name, share in QUANTILES.items()
    ]
    measured = {
        "mae": np.abs(flown - said["value"]).mean(),
        "pinball": np.mean(losses),
        "coverage": ((said["p10"] <= flown) & (flown <= said["p90"])).mean(),
    }
    return {name: round(float(value), 6) for name, value in measured.items()}


def baseline(train: pd.DataFrame, frame: pd.DataFrame) -> list[Answer]:
    """The same quantiles of the route's minutes in training; of all, where it has no such route."""
    by_route = train.groupby(ROUTE)[TARGET]
    said = frame[ROUTE]
    for name, share in QUANTILES.items():
        known = by_route.quantile(share).rename(name).reset_index()
        said = said.merge(known, on=ROUTE, how="left")
        said[name] = said[name].fillna(train[TARGET].quantile(share))
    answers: list[Answer] = said[list(QUANTILES)].to_dict("records")  # type: ignore[assignment]
    return answers
