"""What containers of jobs print, from the log groups of CloudWatch where SageMaker writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

GROUPS: Mapping[str, str] = {
    "ClarifyCheck": "/aws/sagemaker/ProcessingJobs",
    "Processing": "/aws/sagemaker/ProcessingJobs",
    "QualityCheck": "/aws/sagemaker/ProcessingJobs",
    "Training": "/aws/sagemaker/TrainingJobs",
    "Transform": "/aws/sagemaker/TransformJobs",
}
"""Type of a step -> log group of its jobs, whose streams begin with the job's name (SageMaker
developer guide, "CloudWatch Logs for Amazon SageMaker AI")."""

STREAMS = 10
"""Streams of a job that are read: one per container."""


@dataclass(frozen=True)
class JobLogs:
    """Reads the streams of jobs; whoever may not gets an error of CloudWatch's."""

    logs: Any
    """boto3's client."""

    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def new_lines(self, group: str, job: str) -> Iterator[str]:
        """What a job printed since it was asked for last."""
        for stream in self._streams(group, job):
            key = (group, stream)
            given = {"nextToken": self._tokens[key]} if key in self._tokens else {}
            answer = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **given
            )
            self._tokens[key] = answer["nextForwardToken"]
            yield from (event["message"] for event in answer["events"])

    def last_lines(self, group: str, job: str, count: int) -> list[str]:
        """The end of what a job printed, a container after the other."""
        found: list[str] = []
        for stream in self._streams(group, job):
            answer = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=False, limit=count
            )
            found += [event["message"] for event in answer["events"]][-count:]
        return found

    def _streams(self, group: str, job: str) -> list[str]:
        from botocore.exceptions import ClientError

        try:
            answer = self.logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=f"{job}/", limit=STREAMS
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []  # nothing has been printed yet
            raise
        return [stream["logStreamName"] for stream in answer["logStreams"]]
