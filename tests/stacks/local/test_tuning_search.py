"""How a tuning job reads ranges, draws values, and judges its jobs: without a training job."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from stacks.local.aws.sagemaker.tuning.definitions import definitions as definitions_of
from stacks.local.aws.sagemaker.tuning.definitions import metrics, training_request
from stacks.local.aws.sagemaker.tuning.progress import below_median, complete, not_improving
from stacks.local.aws.sagemaker.tuning.ranges import Range, combinations, read
from stacks.local.aws.sagemaker.tuning.search import Resource, Search, search

X = Range(name="x", kind="continuous", low=0, high=1)


def numbers(member: str, low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    entry = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {f"{member}ParameterRanges": [entry]}


def drawn(ranges: Sequence[Range], count: int = 200, strategy: str = "Random") -> list[float]:
    found = search(strategy, ranges, maximize=True, seed=1)
    proposals = [found.propose() for _ in range(count)]
    return [float(proposal.values["x"]) for proposal in proposals if proposal is not None]


def share_below(middle: float, values: Sequence[float]) -> float:
    return sum(value < middle for value in values) / len(values)


@pytest.mark.parametrize(
    ("given", "half"),
    [
        (numbers("Continuous", "0", "1", "Linear"), 0.5),
        (numbers("Continuous", "0.0001", "1", "Logarithmic"), 0.01),
        (numbers("Continuous", "0.0001", "1"), 0.01),
        (numbers("Continuous", "0.5", "1"), 0.75),
        (numbers("Continuous", "0", "0.9999", "ReverseLogarithmic"), 0.99),
        (numbers("Integer", "1000", "1000000000", "Logarithmic"), 1_000_000),
        (numbers("Integer", "1", "1000001", "Linear"), 500_001),
    ],
)
def test_a_scale_decides_where_half_of_the_values_lie(given: Any, half: float) -> None:
    (one,) = read(given)
    values = drawn([one])
    assert len(values) == 200
    assert one.low <= min(values) and max(values) <= one.high
    assert 0.4 < share_below(half, values) < 0.6


def test_integers_are_whole_and_categories_are_their_own_words() -> None:
    ranges = read(
        {
            "IntegerParameterRanges": [{"Name": "depth", "MinValue": "2", "MaxValue": "4"}],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ['"a"', "b"]}],
        }
    )
    assert combinations(ranges) == 6
    found = search("Random", ranges, maximize=True, seed=1)
    had = [proposal.values for _ in range(6) if (proposal := found.propose()) is not None]
    assert sorted((one["depth"], one["kind"]) for one in had) == [
        (depth, kind) for depth in "234" for kind in ('"a"', "b")
    ], "none is had twice while others are left"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (numbers("Integer", "1.5", "3"), "must be of integer values, got '1.5' and '3'"),
        (numbers("Continuous", "2", "1"), "must begin at or before its end, got 2.0 and 1.0"),
        (numbers("Continuous", "0", "inf"), "must begin at or before its end"),
        (numbers("Integer", "0", "3", "Logarithmic"), "must be greater than 0"),
        (numbers("Integer", "1", "3", "ReverseLogarithmic"), "must be of continuous values"),
        (numbers("Continuous", "0", "1", "ReverseLogarithmic"), "must be within 0<=x<1.0"),
        (
            {"CategoricalParameterRanges": [{"Name": "x", "Values": ["a", "a"]}]},
            "must not have a value twice",
        ),
        (
            {**numbers("Integer", "1", "3"), **numbers("Continuous", "1", "3")},
            "hyperparameter 'x' has more than one range",
        ),
    ],
)
def test_a_range_that_cannot_be_is_refused(given: Any, text: str) -> None:
    with pytest.raises(ValueError, match="x") as refused:
        read(given)
    assert text in str(refused.value)


def test_bayesian_search_goes_where_the_best_was() -> None:
    found: Search = search("Bayesian", [X], maximize=True, seed=1)
    values = []
    for _ in range(40):
        proposal = found.propose()
        assert proposal is not None
        x = float(proposal.values["x"])
        found.tell(proposal, 1 - (x - 0.7) ** 2)
        values.append(x)
    late = [abs(x - 0.7) for x in values[-15:]]
    blind = [abs(x - 0.7) for x in drawn([X], 40)]
    assert sum(late) / len(late) < sum(blind) / len(blind) / 2


def test_what_an_earlier_job_found_is_where_the_next_one_begins() -> None:
    found = search("Bayesian", [X], maximize=True, seed=1)
    for x in drawn([X], 30):
        found.learn({"x": repr(x)}, 1 - (x - 0.7) ** 2)
    proposals = [found.propose() for _ in range(10)]
    near = [abs(float(one.values["x"]) - 0.7) for one in proposals if one is not None]
    blind = [abs(x - 0.7) for x in drawn([X], 10)]
    assert sum(near) < sum(blind) / 2


def test_what_lies_outside_of_the_ranges_teaches_nothing_and_nothing_is_had_twice() -> None:
    (one,) = read({"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "2", "3"]}]})
    found = search("Random", [one], maximize=True, seed=1)
    for values in ({"x": "2"}, {"x": "9"}, {"y": "1"}):
        found.learn(values, 1.0)
    had = [proposal.values["x"] for _ in range(2) if (proposal := found.propose()) is not None]
    assert sorted(had) == ["1", "3"]


def test_hyperband_ends_the_worst_and_never_the_best() -> None:
    found = search("Hyperband", [X], maximize=True, seed=1, resource=Resource(least=1, most=9))
    proposals = [found.propose() for _ in range(9)]
    series: dict[int, list[float]] = {place: [] for place in range(9)}
    behind: set[int] = set()
    for _ in range(9):
        for place, proposal in enumerate(proposals):
            assert proposal is not None
            if place not in behind:
                series[place].append(-float(place))
                if found.falls_behind(proposal, series[place]):
                    behind.add(place)
    assert behind and 0 not in behind


def test_a_search_without_resources_ends_nobody() -> None:
    found = search("Random", [X], maximize=True, seed=1)
    proposal = found.propose()
    assert proposal is not None and not found.falls_behind(proposal, [0.0, -9.0])


@pytest.mark.parametrize(
    ("current", "earlier", "maximize", "stops"),
    [
        ([0.5], [], True, False),
        ([0.5, 0.5], [[0.9]], True, False),  # nobody came as far
        ([0.5], [[0.9], [0.6], [0.4]], True, True),
        ([0.7], [[0.9], [0.6], [0.4]], True, False),
        ([0.9, 0.65], [[0.2, 1.0]], True, False),  # the average of the earlier one is 0.6
        ([0.9, 0.55], [[0.2, 1.0]], True, True),
        ([0.7], [[0.9], [0.6], [0.4]], False, True),
    ],
)
def test_the_median_of_running_averages_decides(
    current: list[float], earlier: list[list[float]], maximize: bool, stops: bool
) -> None:
    assert below_median(current, earlier, maximize=maximize) is stops


def test_an_improvement_is_more_than_one_percent() -> None:
    assert not_improving([], maximize=True) == 0
    assert not_improving([0.5, 0.6, 0.604, 0.59], maximize=True) == 2
    assert not_improving([0.5, 0.6, 0.607], maximize=True) == 0
    assert not_improving([0.5, 0.6, 0.4], maximize=False) == 0


def test_criteria_end_a_job() -> None:
    target = {"TargetObjectiveMetricValue": 0.9}
    assert complete(target, [0.5, 0.9], maximize=True)
    assert not complete(target, [0.5, 0.8], maximize=True)
    assert complete(target, [0.9, 2.0], maximize=False)
    patience = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    assert complete(patience, [0.9, 0.1, 0.1, 0.1], maximize=True)
    assert not complete(patience, [0.9, 0.1, 0.1], maximize=True)
    assert not complete({}, [math.inf], maximize=True)


XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def tuned(image: str, metric: str, **static: str) -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "StaticHyperParameters": static,
        "TuningObjective": {"Type": "Maximize", "MetricName": metric},
        "HyperParameterRanges": numbers("Continuous", "0", "1"),
        "HyperParameterTuningResourceConfig": {
            "VolumeKmsKeyId": "key",
            "InstanceConfigs": [
                {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
                {"InstanceType": "ml.c5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            ],
        },
        "RoleArn": "role",
    }


def test_what_an_algorithm_of_aws_measures_needs_no_definition() -> None:
    import re

    given = tuned(XGBOOST, "validation:auc", num_round="3")
    (one,) = metrics(given, "validation:auc")
    line = "[2]\ttrain-auc:0.91\tvalidation-auc:0.87e-1"
    found = re.search(one["Regex"], line)
    assert found is not None and float(found[1]) == 0.087
    assert metrics(tuned(XGBOOST, "validation:auc", sagemaker_program="a.py"), "auc") == []
    assert metrics(tuned("stranger:1", "validation:auc"), "validation:auc") == []


def test_a_training_job_gets_static_and_drawn_values_and_the_first_machine() -> None:
    config = {"Strategy": "Random", "ResourceLimits": {"MaxNumberOfTrainingJobs": 2,
              "MaxParallelTrainingJobs": 1}}  # fmt: skip
    given = tuned(XGBOOST, "validation:auc", num_round="3")
    (one,) = definitions_of(
        {"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": given}
    )
    made = training_request(one, "job-001", {"x": "0.5"})
    assert made["HyperParameters"] == {
        "_tuning_objective_metric": "validation:auc", "num_round": "3", "x": "0.5",
    }  # fmt: skip
    assert made["ResourceConfig"] == {
        "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5,
        "VolumeKmsKeyId": "key",
    }  # fmt: skip
    assert set(made) == {
        "TrainingJobName", "HyperParameters", "AlgorithmSpecification", "ResourceConfig", "RoleArn",
    }  # fmt: skip
