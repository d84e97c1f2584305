"""How a tuning job chooses values: all of them in turn, or what Optuna proposes.

Random and Hyperband draw at random, Bayesian asks Optuna's tree-structured Parzen estimator where
SageMaker has a Gaussian process; Hyperband ends what falls behind by Optuna's brackets (developer
guide, "Understand the hyperparameter tuning strategies").
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from stacks.local.aws.sagemaker.tuning.ranges import Range

FIRST = 5
"""Jobs that Bayesian starts at random."""

TRIES = 100
"""Draws until values are found that no job had yet; then values are had twice."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The values of one training job."""

    values: Mapping[str, str]
    trial: Any = None
    """Optuna's. Default: there is none."""

    reported: list[float] = field(default_factory=list)
    """The values of the metric so far."""


class Search(Protocol):
    """One strategy over one set of ranges."""

    def propose(self) -> Proposal | None:
        """Values for the next job; None when all were had."""

    def learn(self, values: Mapping[str, str], value: float) -> None:
        """What an earlier tuning job found."""

    def falls_behind(self, proposal: Proposal, series: Sequence[float]) -> bool:
        """Whether a job that has emitted this series is not worth going on with."""

    def tell(self, proposal: Proposal, value: float | None) -> None:
        """How a job ended; None: without a metric."""


class Grid:
    """Every combination once."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        names = [one.name for one in ranges]
        every = itertools.product(*(one.values for one in ranges))
        self._left = [dict(zip(names, values, strict=True)) for values in every]

    def propose(self) -> Proposal | None:
        return Proposal(values=self._left.pop(0)) if self._left else None

    def learn(self, values: Mapping[str, str], value: float) -> None:
        """All are had in any case."""

    def falls_behind(self, proposal: Proposal, series: Sequence[float]) -> bool:
        return False

    def tell(self, proposal: Proposal, value: float | None) -> None:
        """What comes next is settled."""


class Study:
    """What Optuna samples and prunes."""

    def __init__(
        self, ranges: Sequence[Range], sampler: Any, *, maximize: bool, pruner: Any = None
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = ranges
        self._prunes = pruner is not None
        self._study = optuna.create_study(
            study_name="tuning",  # Hyperband tells its brackets apart by it
            direction="maximize" if maximize else "minimize",
            sampler=sampler,
            pruner=pruner or optuna.pruners.NopPruner(),
        )
        self._had: list[dict[str, str]] = []

    def propose(self) -> Proposal | None:
        from optuna.trial import TrialState

        for attempt in range(TRIES):
            trial = self._study.ask({one.name: _distribution(one) for one in self._ranges})
            values = {one.name: _text(one, trial.params[one.name]) for one in self._ranges}
            if values not in self._had or attempt == TRIES - 1:
                break
            self._study.tell(trial, state=TrialState.FAIL)
        self._had.append(values)
        return Proposal(values=values, trial=trial)

    def learn(self, values: Mapping[str, str], value: float) -> None:
        from optuna.trial import create_trial

        had = {one.name: _value(one, values.get(one.name, "")) for one in self._ranges}
        if None in had.values():  # a hyperparameter was static then, or its range is another
            return
        spaces = {one.name: _distribution(one) for one in self._ranges}
        self._study.add_trial(create_trial(params=had, distributions=spaces, value=value))
        self._had.append({name: values[name] for name in had})

    def falls_behind(self, proposal: Proposal, series: Sequence[float]) -> bool:
        if not self._prunes:
            return False
        for value in series[len(proposal.reported) :]:
            proposal.reported.append(value)
            proposal.trial.report(value, len(proposal.reported))
        return bool(proposal.reported) and bool(proposal.trial.should_prune())

    def tell(self, proposal: Proposal, value: float | None) -> None:
        from optuna.trial import TrialState

        if value is None:
            self._study.tell(proposal.trial, state=TrialState.FAIL)
        else:
            self._study.tell(proposal.trial, value)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Least and most of what Hyperband spends on one job, such as epochs."""

    least: int
    most: int


def search(
    strategy: str,
    ranges: Sequence[Range],
    *,
    maximize: bool,
    seed: int,
    resource: Resource | None = None,
) -> Search:
    """The search of a strategy; `resource` is Hyperband's."""
    if strategy == "Grid":
        return Grid(ranges)
    import optuna

    if strategy == "Bayesian":
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=FIRST)
        return Study(ranges, sampler, maximize=maximize)
    pruner = None
    if resource is not None:
        pruner = optuna.pruners.HyperbandPruner(
            min_resource=resource.least, max_resource=resource.most
        )
    return Study(ranges, optuna.samplers.RandomSampler(seed=seed), maximize=maximize, pruner=pruner)


def _distribution(one: Range) -> Any:
    from optuna import distributions

    if one.kind == "categorical":
        return distributions.CategoricalDistribution(one.values)
    logarithmic = one.scaling != "Linear"
    if one.kind == "integer":
        return distributions.IntDistribution(int(one.low), int(one.high), log=logarithmic)
    if one.scaling == "ReverseLogarithmic":  # what is searched is the distance to 1
        return distributions.FloatDistribution(1 - one.high, 1 - one.low, log=True)
    return distributions.FloatDistribution(one.low, one.high, log=logarithmic)


def _text(one: Range, value: Any) -> str:
    if one.kind != "continuous":
        return str(value)
    plain = 1 - value if one.scaling == "ReverseLogarithmic" else value
    return repr(min(max(float(plain), one.low), one.high))


def _value(one: Range, text: str) -> Any:
    """What Optuna has for a text; None where it is not within the range."""
    if one.kind == "categorical":
        return text if text in one.values else None
    try:
        number = float(text)
    except ValueError:
        return None
    if not one.low <= number <= one.high:
        return None
    if one.kind == "integer":
        return int(number)
    return 1 - number if one.scaling == "ReverseLogarithmic" else number
