"""Hyperparameter tuning jobs of the local cloud: real training jobs, and the best of them."""

import copy
import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HANGS_SECONDS
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, left_of, refusal, trusted_role
from tests.kits.tuning import (
    CONTINUOUS,
    definition,
    ended,
    grid,
    limits,
    request,
    trained,
    tune,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bin")


def test_a_tuning_job_trains_within_its_ranges_and_knows_the_best(
    cloud: Cloud, sm: Any, folder: Path
) -> None:
    asked = request("draws", definition(folder, depth="3"))
    tags = [{"Key": "team", "Value": "a"}]
    arn = sm.create_hyper_parameter_tuning_job(**asked, Tags=tags)["HyperParameterTuningJobArn"]
    assert arn.endswith(":hyper-parameter-tuning-job/draws")
    job = ended(sm, "draws")
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 3, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0,
    }  # fmt: skip
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    runs = trained(sm, "draws")
    names = [run["TrainingJobName"] for run in runs]
    assert [bool(re.fullmatch(rf"draws-00{n}-[0-9a-f]{{8}}", name)) for n, name in
            enumerate(names, 1)] == [True] * 3  # fmt: skip
    drawn = [float(run["TunedHyperParameters"]["x"]) for run in runs]
    assert len(set(drawn)) == 3 and all(0 <= x <= 1 for x in drawn)
    near = min(range(3), key=lambda n: abs(drawn[n] - 0.7))
    best = job["BestTrainingJob"]
    assert best == runs[near]
    final = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert final["MetricName"] == "score"
    assert final["Value"] == pytest.approx(1 - (drawn[near] - 0.7) ** 2, abs=1e-5)
    one = sm.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert one["TuningJobArn"] == arn
    assert one["HyperParameters"] == {
        "_tuning_objective_metric": "score", "depth": "3", "x": best["TunedHyperParameters"]["x"],
    }  # fmt: skip
    artifact = f"s3://{BUCKET}/tuned/{best['TrainingJobName']}/output/model.tar.gz"
    assert one["ModelArtifacts"]["S3ModelArtifacts"] == artifact
    for tagged in (arn, one["TrainingJobArn"]):
        assert sm.list_tags(ResourceArn=tagged)["Tags"] == tags
    (listed,) = sm.list_hyper_parameter_tuning_jobs(NameContains="draws")[
        "HyperParameterTuningJobSummaries"
    ]
    assert (listed["Strategy"], listed["HyperParameterTuningJobStatus"]) == ("Random", "Completed")


def test_a_seed_decides_what_is_drawn(sm: Any, folder: Path) -> None:
    """The same for the same seed, something else for another."""
    drawn = {}
    for name, seed in (("seed-a", 1), ("seed-b", 1), ("seed-c", 2)):
        tune(sm, name, definition(folder), RandomSeed=seed, ResourceLimits=limits(2, 1))
        drawn[name] = [run["TunedHyperParameters"] for run in trained(sm, name)]
    assert drawn["seed-a"] == drawn["seed-b"] != drawn["seed-c"]


def test_a_grid_has_every_combination_once(sm: Any, folder: Path) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "x", "Values": ["0.1", "0.7"]},
            {"Name": "kind", "Values": ["a", "b"]},
        ]
    }
    free = {"MaxParallelTrainingJobs": 2}
    job = tune(sm, "grid", definition(folder), Strategy="Grid", ParameterRanges=ranges,
               ResourceLimits=free)  # fmt: skip
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    had = [tuple(run["TunedHyperParameters"].values()) for run in trained(sm, "grid")]
    assert sorted(had) == [("0.1", "a"), ("0.1", "b"), ("0.7", "a"), ("0.7", "b")]
    assert job["BestTrainingJob"]["TunedHyperParameters"]["x"] == "0.7"


def test_training_jobs_are_listed_by_their_objective(sm: Any, folder: Path) -> None:
    values = grid("0.1", "0.7", "0.5")
    minimize = {"Type": "Minimize", "MetricName": "score"}
    job = tune(sm, "sorted", definition(folder), Strategy="Grid", ParameterRanges=values,
               HyperParameterTuningJobObjective=minimize)  # fmt: skip
    by = {"SortBy": "FinalObjectiveMetricValue"}
    rising = [run["TunedHyperParameters"]["x"] for run in trained(sm, "sorted", **by)]
    assert rising == ["0.1", "0.5", "0.7"]
    falling = trained(sm, "sorted", **by, SortOrder="Descending")
    assert [run["TunedHyperParameters"]["x"] for run in falling] == ["0.7", "0.5", "0.1"]
    assert job["BestTrainingJob"]["TunedHyperParameters"]["x"] == "0.1"
    first = sm.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="sorted", MaxResults=2
    )
    assert len(first["TrainingJobSummaries"]) == 2
    assert len(trained(sm, "sorted", NextToken=first["NextToken"])) == 1
    assert trained(sm, "sorted", StatusEquals="Failed") == []


def test_no_more_jobs_than_allowed_run_at_once(sm: Any, folder: Path) -> None:
    given = definition(folder, seconds="0.5")
    tune(sm, "narrow", given, ResourceLimits=limits(3, 1))
    runs = sorted(trained(sm, "narrow"), key=lambda run: run["TrainingJobName"])
    pairs = itertools.pairwise(runs)
    assert [a["TrainingEndTime"] <= b["CreationTime"] for a, b in pairs] == [True, True]


def test_without_a_success_a_tuning_job_gives_up(sm: Any, folder: Path) -> None:
    job = tune(sm, "fails", definition(folder, fails="yes"), ResourceLimits=limits(9, 3))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert re.match(r"No training job succeeded after \d attempts\.", job["FailureReason"])
    assert "BestTrainingJob" not in job
    runs = trained(sm, "fails")
    assert 5 <= len(runs) < 9
    assert {run["ObjectiveStatus"] for run in runs} == {"Failed"}
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] >= 5


def test_without_a_metric_a_tuning_job_says_what_is_missing(sm: Any, folder: Path) -> None:
    job = tune(sm, "mute", definition(folder, mute="yes"), ResourceLimits=limits(2, 2))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No objective metrics found after running 2 training")


def test_a_training_job_that_cannot_be_created_fails_the_tuning_job(
    cloud: Cloud, sm: Any, folder: Path
) -> None:
    iam = cloud.client("iam")
    trusted_role(iam, "leaves")
    given = {**definition(folder, seconds="2"), "RoleArn": ROLE.replace("plinth-test", "leaves")}
    sm.create_hyper_parameter_tuning_job(**request("leaves", given, ResourceLimits=limits(3, 1)))
    deadline = time.monotonic() + HANGS_SECONDS
    while not trained(sm, "leaves"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    iam.delete_role_policy(RoleName="leaves", PolicyName="own")
    iam.delete_role(RoleName="leaves")
    job = ended(sm, "leaves")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("a training job could not be created: ")
    assert "Could not assume role" in job["FailureReason"]
    assert job["TrainingJobStatusCounters"]["InProgress"] == 0


def test_a_target_ends_the_job_and_what_still_runs(cloud: Cloud, sm: Any, folder: Path) -> None:
    given = definition(folder)
    given["StaticHyperParameters"] = {"epochs": "1", "seconds": "0"}
    slow = copy.deepcopy(given)
    slow["StaticHyperParameters"] = {"epochs": "1000", "seconds": "0.5"}
    own = {"TuningObjective": {"Type": "Maximize", "MetricName": "score"}}
    asked = request("target", given, TuningJobCompletionCriteria={
        "TargetObjectiveMetricValue": 0.999}, Strategy="Grid")  # fmt: skip
    del asked["TrainingJobDefinition"]
    config = asked["HyperParameterTuningJobConfig"]
    del config["HyperParameterTuningJobObjective"], config["ParameterRanges"]
    config["ResourceLimits"] = {"MaxParallelTrainingJobs": 2}
    asked["TrainingJobDefinitions"] = [
        {**slow, **own, "DefinitionName": "slow", "HyperParameterRanges": grid("0.1")},
        {**given, **own, "DefinitionName": "quick", "HyperParameterRanges": grid("0.7", "0.2")},
    ]
    sm.create_hyper_parameter_tuning_job(**asked)
    job = ended(sm, "target")
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    assert job["BestTrainingJob"]["TrainingJobDefinitionName"] == "quick"
    runs = {run["TrainingJobDefinitionName"]: run for run in trained(sm, "target")}
    assert runs["slow"]["TrainingJobStatus"] == "Stopped"
    assert [line for line in left_of(cloud.home) if "/train" in line] == []


def test_what_falls_behind_is_stopped_early(sm: Any, folder: Path) -> None:
    """One job after the other: the first is the best, so that the second is below the median."""
    given = definition(folder, epochs="40", seconds="0.2")
    first = grid("0.7", "0.1")
    job = tune(sm, "early", given, Strategy="Grid", ParameterRanges=first,
               ResourceLimits={"MaxParallelTrainingJobs": 1},
               TrainingJobEarlyStoppingType="Auto")  # fmt: skip
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    runs = {run["TunedHyperParameters"]["x"]: run for run in trained(sm, "early")}
    assert runs["0.7"]["TrainingJobStatus"] == "Completed"
    assert runs["0.1"]["TrainingJobStatus"] == "Stopped"
    assert runs["0.1"]["ObjectiveStatus"] == "Succeeded"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_hyperband_spends_on_few_jobs_all_their_epochs(cloud: Cloud, sm: Any, folder: Path) -> None:
    given = definition(folder, epochs="27", seconds="0.1")
    job = tune(sm, "hyperband", given, Strategy="Hyperband", ResourceLimits=limits(8, 4))
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    runs = trained(sm, "hyperband")
    stopped = [run for run in runs if run["TrainingJobStatus"] == "Stopped"]
    whole = [run for run in runs if run["TrainingJobStatus"] == "Completed"]
    assert stopped and whole and len(runs) == 8
    value = "FinalHyperParameterTuningJobObjectiveMetric"
    assert job["BestTrainingJob"][value]["Value"] == max(run[value]["Value"] for run in runs)
    log = cloud.home / "local/jobs" / stopped[0]["TrainingJobName"] / "log.txt"
    assert log.read_text().count("score=") < 27


def test_a_stopped_tuning_job_stops_its_training_jobs(cloud: Cloud, sm: Any, folder: Path) -> None:
    given = definition(folder, epochs="1000", seconds="0.5")
    sm.create_hyper_parameter_tuning_job(**request("stopped", given, ResourceLimits=limits(9, 2)))
    deadline = time.monotonic() + HANGS_SECONDS
    while len(trained(sm, "stopped", StatusEquals="InProgress")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    code, message, _ = refusal(
        sm.delete_hyper_parameter_tuning_job, HyperParameterTuningJobName="stopped"
    )
    assert code == "ValidationException" and "stop it first" in message
    sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    job = ended(sm, "stopped")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert [run["TrainingJobStatus"] for run in trained(sm, "stopped")] == ["Stopped"] * 2
    assert [line for line in left_of(cloud.home) if "/train" in line] == []
    sm.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    told = refusal(sm.describe_hyper_parameter_tuning_job, HyperParameterTuningJobName="stopped")
    assert told[0] == "ResourceNotFound"


ROLE_OF_NOBODY = ROLE.replace("plinth-test", "nobody")
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "few": (
        {"ParameterRanges": grid("1", "2")},
        {},
        "You don't have enough combinations of hyperparameter ranges. The total number of "
        "hyperparameter combinations for the provided ranges [2.0] must be equal or greater than "
        "the value of MaxNumberOfJobs, [3].",
    ),
    "grid of numbers": ({"Strategy": "Grid"}, {}, "Grid searches categorical hyperparameters"),
    "part of a grid": (
        {"Strategy": "Grid", "ParameterRanges": grid("1", "2", "3", "4")},
        {},
        "must be the number of combinations of a grid, 4",
    ),
    "no metric": (
        {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "auc"}},
        {},
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in "
        "the metric definitions.",
    ),
    "no ranges": ({"ParameterRanges": {}}, {}, "from 1 to 30 hyperparameters"),
    "static": ({}, {"StaticHyperParameters": {"x": "1"}}, "cannot be static and searched: x"),
    "epochs": (
        {"Strategy": "Hyperband"},
        {},
        "MaxResource parameter is not provided and could not be inferred from provided static "
        "hyperparameters of TrainingJobDefinition.",
    ),
    "early and hyperband": (
        {"Strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto"},
        {},
        "TrainingJobEarlyStoppingType must be Off",
    ),
    "unbounded": (
        {"ResourceLimits": {"MaxParallelTrainingJobs": 1}},
        {},
        "MaxNumberOfTrainingJobs or MaxRuntimeInSeconds must be given with Random",
    ),
    "role": ({}, {"RoleArn": ROLE_OF_NOBODY}, "Could not assume role"),
    "logarithm": (
        {
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {**CONTINUOUS["ContinuousParameterRanges"][0], "ScalingType": "Logarithmic"}
                ]
            }
        },
        {},
        "must be greater than 0 for scaling type Logarithmic",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_sagemaker_refuses_is_refused(case: str, sm: Any, folder: Path) -> None:
    config, own, text = WRONG[case]
    asked = request("wrong", {**definition(folder), **own}, **config)
    code, message, _ = refusal(sm.create_hyper_parameter_tuning_job, **asked)
    assert code == "ValidationException" and text in message


def warm(parent: str, kind: str = "IdenticalDataAndAlgorithm") -> dict[str, Any]:
    parents = [{"HyperParameterTuningJobName": parent}]
    return {"WarmStartConfig": {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}}


def test_a_warm_start_knows_what_its_parent_found(sm: Any, folder: Path) -> None:
    free = {"MaxParallelTrainingJobs": 2}
    parent = tune(sm, "parent", definition(folder), Strategy="Grid",
                  ParameterRanges=grid("0.7", "0.1"), ResourceLimits=free)  # fmt: skip
    asked = request("child", definition(folder), Strategy="Bayesian", ResourceLimits=limits(1, 1))
    sm.create_hyper_parameter_tuning_job(**asked, **warm("parent"))
    job = ended(sm, "child")
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    own = job["BestTrainingJob"]["TrainingJobName"]
    assert [run["TrainingJobName"] for run in trained(sm, "child")] == [own]
    overall = job["OverallBestTrainingJob"]
    assert overall["TuningJobName"] == "parent"
    assert overall["TrainingJobName"] == parent["BestTrainingJob"]["TrainingJobName"]
    assert "OverallBestTrainingJob" not in parent
    wrong: list[tuple[dict[str, Any], str]] = [
        ({**asked, **warm("nobody")}, "can't find a tuning job with the name nobody"),
        ({**asked, **warm("parent"), "TrainingJobDefinition": definition(folder, depth="3")},
         "static and searched hyperparameters must be as many"),
        ({**request("child", definition(folder), Strategy="Grid", ParameterRanges=grid("1"),
                    ResourceLimits=free), **warm("parent")}, "strategies Bayesian and Random"),
    ]  # fmt: skip
    for other, text in wrong:
        other["HyperParameterTuningJobName"] = "wrong"
        assert text in refusal(sm.create_hyper_parameter_tuning_job, **other)[1]
    given = definition(folder)
    given["InputDataConfig"] = [{"ChannelName": "a", "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/rows"}}}]  # fmt: skip
    other = {**request("wrong", given), **warm("parent")}
    assert (
        "must be those of the parent" in refusal(sm.create_hyper_parameter_tuning_job, **other)[1]
    )


CONVERGED = {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}
FOUND_BY_AUTOTUNE = {"AutoParameters": [{"Name": "x", "ValueHint": "1"}]}
NOT_BUILT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Autotune": ({"Autotune": {"Mode": "Enabled"}}, {}),
    "CompleteOnConvergence": ({}, {"TuningJobCompletionCriteria": CONVERGED}),
    "AutoParameters": ({}, {"ParameterRanges": {**CONTINUOUS, **FOUND_BY_AUTOTUNE}}),
}


@pytest.mark.parametrize("member", NOT_BUILT)
def test_what_nobody_built_is_refused_by_name(member: str, sm: Any, folder: Path) -> None:
    own, config = NOT_BUILT[member]
    asked = {**request("unbuilt", definition(folder), **config), **own}
    code, message, status = refusal(sm.create_hyper_parameter_tuning_job, **asked)
    assert (code, status) == ("NotEmulated", 501) and member in message


def test_definitions_must_be_what_a_training_job_can_be(sm: Any, folder: Path) -> None:
    given = definition(folder)
    given["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    told = refusal(sm.create_hyper_parameter_tuning_job, **request("pipe", given))
    assert told[0] == "NotEmulated" and "only File and FastFile are built" in told[1]
    given = definition(folder)
    given["AlgorithmSpecification"]["TrainingImage"] = "stranger:1"
    told = refusal(sm.create_hyper_parameter_tuning_job, **request("stranger", given))
    assert told[0] == "ValidationException"
    assert told[1].startswith("Requested image stranger:1 not found")
    both = {**request("both", given), "TrainingJobDefinitions": [given]}
    told = refusal(sm.create_hyper_parameter_tuning_job, **both)
    assert "give either TrainingJobDefinition or TrainingJobDefinitions" in told[1]
