"""What earlier tuning jobs found, as the beginning of a new one.

Source: developer guide, "Run a warm start hyperparameter tuning job" (what parents and child must
share), and HyperParameterTuningJobWarmStartConfig, API reference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.tuning.definitions import Definition, definitions
from stacks.local.aws.sagemaker.tuning.summaries import FINAL, KIND, MISSING, launched
from stacks.local.aws.store import Resource

OVER = ("Completed", "Stopped", "Failed")
IDENTICAL = "IdenticalDataAndAlgorithm"
SAME = ("AlgorithmSpecification.TrainingImage", "InputDataConfig")
"""What is the same where data and algorithm are identical."""


def parents(emulator: Emulator, request: Request, found: Sequence[Definition]) -> list[Resource]:
    """The tuning jobs that a request starts from; ValidationException where it cannot."""
    config = request.get("WarmStartConfig")
    if config is None:
        return []
    if "TrainingJobDefinitions" in request:
        raise invalid("warm start is for tuning jobs with one TrainingJobDefinition")
    if request["HyperParameterTuningJobConfig"]["Strategy"] not in ("Bayesian", "Random"):
        raise invalid("warm start is for the strategies Bayesian and Random")
    known = []
    for entry in config["ParentHyperParameterTuningJobs"]:
        name = entry.get("HyperParameterTuningJobName", "")
        parent = emulator.store.find(KIND, name)
        if parent is None:
            raise MISSING.error(name=name)
        if parent.fields["HyperParameterTuningJobStatus"] not in OVER:
            raise invalid(f"the parent tuning job {name} is not over")
        _check(parent, found[0], config["WarmStartType"])
        known.append(parent)
    return known


def lessons(emulator: Emulator, known: Sequence[Resource]) -> list[tuple[Mapping[str, str], float]]:
    """Values and objective of every training job of the parents that has one."""
    return [
        (job.fields["TunedHyperParameters"], job.fields[FINAL]["Value"])
        for parent in known
        for job in launched(emulator, parent)
        if FINAL in job.fields
    ]


def _check(parent: Resource, child: Definition, kind: str) -> None:
    if "TrainingJobDefinition" not in parent.fields:
        raise invalid(f"the parent tuning job {parent.name} has more than one definition")
    (older,) = definitions(parent.fields)
    if (older.metric, older.maximize) != (child.metric, child.maximize):
        raise invalid(f"the objective must be that of the parent tuning job {parent.name}")
    counts = [
        len(one.ranges) + len(one.given.get("StaticHyperParameters", {})) for one in (older, child)
    ]
    if counts[0] != counts[1]:
        raise invalid(
            "static and searched hyperparameters must be as many as those of the parent tuning "
            f"job {parent.name}, {counts[0]}, got {counts[1]}"
        )
    if kind == IDENTICAL and any(_at(older.given, p) != _at(child.given, p) for p in SAME):
        raise invalid(f"{' and '.join(SAME)} must be those of the parent tuning job {parent.name}")


def _at(given: Mapping[str, Any], path: str) -> Any:
    value: Any = given
    for name in path.split("."):
        value = value.get(name, {})
    return value
