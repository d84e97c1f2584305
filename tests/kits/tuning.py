"""A training container for tuning jobs, which prints a metric per epoch, and jobs of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kits.local_cloud import BUCKET, OWN_IMAGE, ROLE, until

TRAIN = f"""#!{sys.executable}
import json, os, pathlib, sys, time
ml = pathlib.Path(os.environ.get("OPT_ML", "/opt/ml"))
told = json.loads((ml / "input/config/hyperparameters.json").read_text())
print("told", json.dumps(told, sort_keys=True), flush=True)
if told.get("fails") == "yes":
    sys.exit("diverged")
x = float(told.get("x", 0))
for epoch in range(int(told.get("epochs", 1))):
    said = f"score={{1 - (x - 0.7) ** 2:.6f}};" if told.get("mute") != "yes" else "nothing"
    print(said, flush=True)
    time.sleep(float(told.get("seconds", 0)))
(ml / "model/x.txt").write_text(str(x))
"""
"""Best at x = 0.7, where its score is 1."""

CONTINUOUS = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}


def grid(*values: str) -> dict[str, Any]:
    return {"CategoricalParameterRanges": [{"Name": "x", "Values": list(values)}]}


def definition(folder: Path, **static: str) -> dict[str, Any]:
    """A training job definition of the container."""
    program = folder / "train"
    program.write_text(TRAIN)
    program.chmod(0o755)
    return {
        "StaticHyperParameters": static,
        "AlgorithmSpecification": {
            "TrainingImage": OWN_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": r"score=([0-9.]+);"}],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/tuned"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 120},
        "Environment": {"PATH": f"{folder}:/usr/bin:/bin"},
    }  # fmt: skip


def request(name: str, given: Mapping[str, Any], **config: Any) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request; members of its configuration are replaced."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3},
            "ParameterRanges": CONTINUOUS,
            "RandomSeed": 7,
            **config,
        },
        "TrainingJobDefinition": given,
    }


def limits(most: int, at_once: int) -> dict[str, int]:
    return {"MaxNumberOfTrainingJobs": most, "MaxParallelTrainingJobs": at_once}


def ended(sm: Any, name: str) -> Mapping[str, Any]:
    return until(
        lambda: sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
        "HyperParameterTuningJobStatus",
    )


def tune(sm: Any, name: str, given: Mapping[str, Any], **config: Any) -> Mapping[str, Any]:
    """Run a tuning job to its end."""
    sm.create_hyper_parameter_tuning_job(**request(name, given, **config))
    return ended(sm, name)


def trained(sm: Any, name: str, **more: Any) -> list[dict[str, Any]]:
    """The training jobs of a tuning job."""
    listed: list[dict[str, Any]] = sm.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **more
    )["TrainingJobSummaries"]
    return listed
