"""What containers of jobs print, from the log groups of CloudWatch where SageMaker writes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

GROUPS: Mapping[str, str] = {
    "ClarifyCheck": "/aws/sagemaker/ProcessingJobs",
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "QualityCheck": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}
"""Member of a step's Metadata -> log group of its job, whose streams begin with the job's name
(SageMaker developer guide, "CloudWatch Logs for Amazon SageMaker AI")."""

ARNS = ("Arn", "CheckJobArn")
"""Where Metadata says which job (API reference, PipelineExecutionStepMetadata)."""

LATE_MILLISECONDS = 10_000
"""How much later than others a line may reach CloudWatch."""


@dataclass(frozen=True, kw_only=True)
class JobLog:
    """Where the containers of one job write."""

    group: str
    job: str


def log_of(row: Mapping[str, Any]) -> JobLog | None:
    """The log of the job that a step of an execution made; None: it made none that prints."""
    for member, held in row.get("Metadata", {}).items():
        if member in GROUPS and (arn := arn_of(held)):
            return JobLog(group=GROUPS[member], job=arn.rpartition("/")[2])
    return None


def arn_of(held: Mapping[str, Any]) -> str:
    """The ARN in a member of a step's Metadata; empty where there is none yet."""
    return str(next((held[name] for name in ARNS if held.get(name)), ""))


@dataclass(frozen=True)
class JobLogs:
    """Reads logs with `logs:FilterLogEvents` alone, which our personas have; else ClientError."""

    logs: Any
    """boto3's client."""

    _seen: dict[JobLog, set[str]] = field(default_factory=dict)
    _newest: dict[JobLog, int] = field(default_factory=dict)

    def new_lines(self, log: JobLog) -> Iterator[str]:
        """What a job printed since it was asked for last."""
        seen = self._seen.setdefault(log, set())
        since = max(0, self._newest.get(log, 0) - LATE_MILLISECONDS)
        for event in self._events(log, since):
            self._newest[log] = max(self._newest.get(log, 0), event["timestamp"])
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                yield event["message"]

    def last_lines(self, log: JobLog, count: int) -> list[str]:
        """The end of what a job printed."""
        return [event["message"] for event in deque(self._events(log, 0), maxlen=count)]

    def _events(self, log: JobLog, since_milliseconds: int) -> Iterator[Mapping[str, Any]]:
        from botocore.exceptions import ClientError

        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=log.group, logStreamNamePrefix=f"{log.job}/", startTime=since_milliseconds
        )
        try:
            for page in pages:
                yield from page["events"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise  # the group is not there: nothing has been printed yet
