"""Days that no run has seen: what a deployed model is asked, and how its answers are measured.

A workload names two functions. `holdout(source, days)` gives questions with their known answers and
what a naive guess says; `score(answers, truth)` measures answers. The same measure of model and
guess side by side says whether the model is worth its keep.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from pipelines.toolkit.job import StepError
from pipelines.toolkit.window import Window, midnight, of_days
from pipelines.workload import Parameter, Workload, function

if TYPE_CHECKING:
    import pandas as pd

Answer = Mapping[str, float]
"""One prediction, as an endpoint gives it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an environment keeps what a holdout is made of."""

    client: Callable[[str], Any]
    """A boto3 client by the name of its service."""

    data_bucket: str
    feature_groups: Mapping[str, str]
    """AWS name by logical name, as the pipeline has them."""

    parameters: Mapping[str, Parameter]
    """Of the pipeline that trains, as this environment sets them."""

    def window(self) -> Window:
        """The days that the model was trained and evaluated on."""
        return of_days(
            str(self.parameters["TrainStart"]),
            str(self.parameters["TrainEnd"]),
            int(self.parameters["EvaluationDays"]),
        )


@dataclass(frozen=True, kw_only=True)
class Spans:
    """When the questions of a model's training, and those of its holdout, are asked."""

    trained: tuple[datetime, datetime]
    """From the first moment up to before the second."""

    held_out: tuple[datetime, datetime]


def spans(window: Window, days: int, asked_before: timedelta) -> Spans:
    """The holdout is the days after the evaluation days; all days are local."""
    start, split, begin, end = (
        midnight(day) - asked_before
        for day in (
            *(window.train_start, window.train_end),
            *(window.end, window.end + timedelta(days=days)),
        )
    )
    return Spans(trained=(start, split), held_out=(begin, end))


def within(questions: "pd.DataFrame", span: tuple[datetime, datetime]) -> "pd.DataFrame":
    """The questions that are asked in a span, by their column `at`."""
    return questions[(questions["at"] >= span[0]) & (questions["at"] < span[1])]


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """Questions, how they turned out, and what a naive guess says; all in the same order."""

    records: Sequence[Mapping[str, Any]]
    truth: Sequence[float]
    baseline: Sequence[Answer]


def holdout(workload: Workload, source: Source, days: int) -> Holdout:
    """The workload's holdout of this many days after its evaluation days."""
    if workload.holdout is None:
        raise UserError(
            f"{workload.name} has no holdout: its model cannot be scored",
            fix=f"name functions for holdout and score in pipelines/{workload.name}/workload.py",
        )
    try:
        found: Holdout = function(workload.holdout)(source, days)
    except StepError as error:
        raise UserError(f"{workload.name} has no holdout yet: {error}") from None
    return found


def compared(workload: Workload, asked: Holdout, answers: Sequence[Answer]) -> dict[str, float]:
    """Metrics of the answers, each beside the guess's: `{"mae": 7.1, "baseline_mae": 10.2}`."""
    assert workload.score is not None  # a holdout comes with it
    score = function(workload.score)
    measured, guessed = score(answers, asked.truth), score(asked.baseline, asked.truth)
    return {
        name: value
        for metric in measured
        for name, value in (
            (metric, measured[metric]),
            (f"baseline_{metric}", guessed.get(metric)),
        )
        if value is not None
    }


def to_records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows as an endpoint takes them: what is absent is null."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return records
