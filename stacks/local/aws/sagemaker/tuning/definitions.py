"""A CreateHyperParameterTuningJob request taken apart: checked, one `Definition` per algorithm.

Source: CreateHyperParameterTuningJob and its shapes, API reference; texts where they are known are
SageMaker's own (aws-sagemaker-operator-for-k8s#123, graphstorm#1243, sagemaker-python-sdk#3932).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.tuning import ranges as of_ranges
from stacks.local.aws.sagemaker.tuning.ranges import Range
from stacks.local.aws.sagemaker.tuning.search import Resource
from stacks.local.runtime import images

OBJECTIVE = "_tuning_objective_metric"
"""Hyperparameter by which a training job hears of the objective (developer guide, "Define
metrics")."""

EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Static hyperparameters that say Hyperband's MaxResource (HyperbandStrategyConfig)."""

LAST_EPOCH = 20_000
MOST_HYPERPARAMETERS = 100
UNBOUNDED = 750
"""Training jobs of a tuning job that is ended by MaxRuntimeInSeconds alone: the quota."""

NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One algorithm that is tuned."""

    given: Mapping[str, Any]
    """Its HyperParameterTrainingJobDefinition."""

    ranges: Sequence[Range]
    metric: str
    maximize: bool
    resource: Resource | None = None
    """Hyperband's. Default: jobs are not ended by their metric."""

    @property
    def name(self) -> str:
        return str(self.given.get("DefinitionName", ""))

    @property
    def regex(self) -> str:
        """How the log says the metric."""
        return next(
            d["Regex"] for d in metrics(self.given, self.metric) if d["Name"] == self.metric
        )


def definitions(request: Request) -> list[Definition]:
    """What a request asks to tune; ValidationException where it cannot be."""
    config = request["HyperParameterTuningJobConfig"]
    single, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    if (single is None) == (not several):
        raise invalid("give either TrainingJobDefinition or TrainingJobDefinitions")
    _check_config(config, bool(several))
    if single is not None:
        found = [_definition(config, single, config)]
    else:
        names = [given.get("DefinitionName", "") for given in several or ()]
        if not all(names) or len(set(names)) < len(names):
            raise invalid(f"each of TrainingJobDefinitions needs a name of its own, got {names}")
        found = [_definition(config, given, {}) for given in several or ()]
    _check_count(config, found)
    return found


def jobs_to_run(config: Mapping[str, Any], found: Sequence[Definition]) -> int:
    """How many training jobs a tuning job starts at most."""
    if config["Strategy"] == "Grid":
        return int(sum(of_ranges.combinations(one.ranges) for one in found))
    return int(config["ResourceLimits"].get("MaxNumberOfTrainingJobs", UNBOUNDED))


def metrics(given: Mapping[str, Any], metric: str) -> list[dict[str, str]]:
    """The metric definitions of a training job, those that AWS's algorithm brings among them."""
    algorithm = given["AlgorithmSpecification"]
    own = list(algorithm.get("MetricDefinitions", ()))
    known = re.fullmatch(r"(train|validation):([\w@.-]+)", metric)
    if known and _is_xgboost(given) and metric not in [one["Name"] for one in own]:
        line = rf"\[[0-9]+\].*{known[1]}-{re.escape(known[2])}:{NUMBER}"
        own.append({"Name": metric, "Regex": line})
    return own


def training_request(
    found: Definition, name: str, values: Mapping[str, str], tags: Sequence[Any] = ()
) -> dict[str, Any]:
    """The CreateTrainingJob request of one set of values."""
    given = found.given
    held = {"DefinitionName", "TuningObjective", "HyperParameterRanges", "StaticHyperParameters",
            "HyperParameterTuningResourceConfig", "AlgorithmSpecification"}  # fmt: skip
    told = {OBJECTIVE: found.metric, **given.get("StaticHyperParameters", {}), **values}
    defined = metrics(given, found.metric)
    return {
        "TrainingJobName": name,
        "HyperParameters": told,
        "AlgorithmSpecification": {**given["AlgorithmSpecification"], "MetricDefinitions": defined},
        "ResourceConfig": _resources(given),
        **{member: value for member, value in given.items() if member not in held},
        **({"Tags": list(tags)} if tags else {}),
    }


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """The machine of a job; of several that may be had, the first is."""
    flexible = given.get("HyperParameterTuningResourceConfig")
    if flexible is None:
        return dict(given.get("ResourceConfig", {}))
    first = flexible.get("InstanceConfigs", [{}])[0]
    left_out = ("InstanceConfigs", "AllocationStrategy")
    return {**{k: v for k, v in flexible.items() if k not in left_out}, **first}


def _check_config(config: Mapping[str, Any], several: bool) -> None:
    limits, early = config["ResourceLimits"], config.get("TrainingJobEarlyStoppingType", "Off")
    strategy = config["Strategy"]
    if strategy != "Hyperband" and "StrategyConfig" in config:
        raise invalid("StrategyConfig is for the strategy Hyperband alone")
    if strategy == "Hyperband" and early == "Auto":
        raise invalid("TrainingJobEarlyStoppingType must be Off with the strategy Hyperband")
    if several and early == "Auto":
        raise invalid("early stopping is for tuning jobs with one TrainingJobDefinition")
    bounded = {"MaxNumberOfTrainingJobs", "MaxRuntimeInSeconds"} & limits.keys()
    if strategy != "Grid" and not bounded:
        raise invalid(
            f"MaxNumberOfTrainingJobs or MaxRuntimeInSeconds must be given with {strategy}"
        )
    own = {"HyperParameterTuningJobObjective", "ParameterRanges"} & config.keys()
    if several and own:
        raise invalid(f"with TrainingJobDefinitions each has its own: leave out {sorted(own)}")


def _definition(
    config: Mapping[str, Any], given: Mapping[str, Any], shared: Mapping[str, Any]
) -> Definition:
    objective = given.get("TuningObjective") or shared.get("HyperParameterTuningJobObjective")
    listed = given.get("HyperParameterRanges") or shared.get("ParameterRanges")
    if not objective:
        raise invalid("an objective metric must be given for each training job definition")
    try:
        found = of_ranges.read(listed or {})
    except ValueError as error:
        raise invalid(str(error)) from error
    static, metric = given.get("StaticHyperParameters", {}), objective["MetricName"]
    both = sorted(static.keys() & {one.name for one in found})
    if both:
        raise invalid(f"hyperparameters cannot be static and searched: {', '.join(both)}")
    if len(static) + len(found) + (OBJECTIVE not in static) > MOST_HYPERPARAMETERS:
        raise invalid(f"at most {MOST_HYPERPARAMETERS} hyperparameters, {OBJECTIVE} among them")
    if config["Strategy"] == "Grid" and any(one.kind != "categorical" for one in found):
        raise invalid("Grid searches categorical hyperparameters alone")
    if metric not in [one["Name"] for one in metrics(given, metric)]:
        raise invalid(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            "in the metric definitions."
        )
    return Definition(
        given=given,
        ranges=found,
        metric=metric,
        maximize=objective["Type"] == "Maximize",
        resource=_resource(config, static) if config["Strategy"] == "Hyperband" else None,
    )


def _resource(config: Mapping[str, Any], static: Mapping[str, str]) -> Resource:
    told = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    named = [static[name] for name in EPOCHS if name in static]
    most = told.get("MaxResource", named[0] if named else None)
    try:
        most = int(most)
    except (TypeError, ValueError) as error:
        raise invalid(
            "MaxResource parameter is not provided and could not be inferred from provided static "
            "hyperparameters of TrainingJobDefinition."
        ) from error
    least = told.get("MinResource", 1)
    if not least <= most <= LAST_EPOCH:
        raise invalid(f"MaxResource must be from MinResource ({least}) to {LAST_EPOCH}, got {most}")
    return Resource(least=least, most=most)


def _check_count(config: Mapping[str, Any], found: Sequence[Definition]) -> None:
    """As many different jobs as are asked for must exist; of a grid, all of them are."""
    wanted = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    exist = sum(of_ranges.combinations(one.ranges) for one in found)
    if wanted is None:
        return
    if config["Strategy"] == "Grid" and wanted != exist:
        raise invalid(
            f"MaxNumberOfTrainingJobs must be the number of combinations of a grid, {exist:.0f}, "
            f"or be left out, got {wanted}"
        )
    if exist < wanted:
        raise invalid(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{exist:.1f}] must be equal or "
            f"greater than the value of MaxNumberOfJobs, [{wanted}]. Provide additional ranges."
        )


def _is_xgboost(given: Mapping[str, Any]) -> bool:
    """Whether AWS's XGBoost is the algorithm itself, not a script in its image."""
    row = images.find(given["AlgorithmSpecification"].get("TrainingImage", ""), own=())
    scripted = "sagemaker_program" in given.get("StaticHyperParameters", {})
    return row is not None and not scripted and row.train[-1:] == ("xgboost",)
