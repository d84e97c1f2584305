"""What a tuning job shows of its training jobs: summaries, counters, which one is the best.

Source: HyperParameterTrainingJobSummary, TrainingJobStatusCounters, ObjectiveStatusCounters and
ListTrainingJobsForHyperParameterTuningJob, API reference.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import paged, shown
from stacks.local.aws.sagemaker.resource_type import Missing, Request
from stacks.local.aws.sagemaker.shapes import service
from stacks.local.aws.store import Resource

KIND = "hyperparameter tuning job"
MISSING = Missing(
    code="ResourceNotFound",
    text="Amazon SageMaker can't find a tuning job with the name {name}. Check the name and try "
    "your request again.",
)
FINAL = "FinalHyperParameterTuningJobObjectiveMetric"
PAGE = 10

STATUSES: Mapping[str, str] = {
    "Completed": "Completed",
    "InProgress": "InProgress",
    "Stopping": "InProgress",
    "Failed": "NonRetryableError",
    "Stopped": "Stopped",
}
"""Status of a training job -> counter."""


def summary(job: Resource) -> dict[str, Any]:
    """A training job as its tuning job shows it."""
    members = service().shape_for("HyperParameterTrainingJobSummary").members
    return {name: value for name, value in shown(job).items() if name in members}


def counters(found: Sequence[Resource]) -> dict[str, dict[str, int]]:
    """Training jobs by their status and by that of their objective."""
    by_status = dict.fromkeys([*STATUSES.values(), "RetryableError"], 0)
    by_objective = dict.fromkeys(("Succeeded", "Pending", "Failed"), 0)
    for job in found:
        by_status[STATUSES[job.fields["TrainingJobStatus"]]] += 1
        by_objective[job.fields.get("ObjectiveStatus", "Pending")] += 1
    return {"TrainingJobStatusCounters": by_status, "ObjectiveStatusCounters": by_objective}


def best(found: Sequence[Resource]) -> Resource | None:
    """The job with the best objective; of equal ones the first."""
    known = [job for job in found if FINAL in job.fields]
    return max(known, key=_rank, default=None)


def launched(emulator: Emulator, item: Resource) -> list[Resource]:
    """The training jobs that a tuning job started, in their order."""
    every = emulator.store.all("training job")
    return [job for job in every if job.fields.get("TuningJobArn") == item.arn]


def list_training_jobs(emulator: Emulator, request: Request) -> dict[str, Any]:
    """The training jobs of a tuning job."""
    name = request["HyperParameterTuningJobName"]
    item = emulator.store.find(KIND, name)
    if item is None:
        raise MISSING.error(name=name)
    with emulator.store.lock:
        wanted = request.get("StatusEquals")
        found = [
            job
            for job in launched(emulator, item)
            if wanted in (None, job.fields["TrainingJobStatus"])
        ]
        by = request.get("SortBy", "Name")
        if by == "FinalObjectiveMetricValue":
            found = [job for job in found if FINAL in job.fields]
        found.sort(key=_ORDERS[by], reverse=request.get("SortOrder") == "Descending")
        rows = [summary(job) for job in found]
    return paged("TrainingJobSummaries", rows, {"MaxResults": PAGE, **request})


def _rank(job: Resource) -> float:
    final = job.fields[FINAL]
    return float(final["Value"] if final["Type"] == "Maximize" else -final["Value"])


_ORDERS: Mapping[str, Callable[[Resource], Any]] = {
    "Name": lambda job: job.name,
    "CreationTime": lambda job: job.created,
    "Status": lambda job: job.fields["TrainingJobStatus"],
    "FinalObjectiveMetricValue": lambda job: job.fields[FINAL]["Value"],
}
