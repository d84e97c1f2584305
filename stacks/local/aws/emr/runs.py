"""A Spark job of EMR or EMR Serverless from its submission to its logs in S3."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.emr.submission import NotSubmittable, Submission
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.signatures import Refused
from stacks.local.runtime import spark_jobs
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.s3_files import TransferFailed, split_uri
from stacks.local.runtime.spark_jobs import SparkEnd

log = logging.getLogger(__name__)

ENDED = "the local cloud ended meanwhile"
"""Why a job failed that a cloud left running when it stopped."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What runs, as whom, and where its logs go."""

    name: str
    """Of its folder below `local/jobs/`."""

    submission: Submission
    act: Callable[[], Acting]
    """The session that the program has; CannotAct where there is none."""

    logs: str
    """Prefix in S3 of what it printed; empty: nowhere."""

    log_act: Callable[[], Acting]
    """The session that writes the logs."""

    seconds: float


def not_emulated(problem: NotSubmittable) -> Refused:
    """The refusal of what is not played, which no client asks again."""
    return Refused("NotEmulated", f"not emulated by the local cloud: {problem}", status=501)


def run(emulator: Emulator, job: Job, stopping: threading.Event) -> SparkEnd:
    """Run it to its end, then bring what it printed to S3."""
    try:
        acting = job.act()
    except CannotAct as error:
        return SparkEnd(status="Failed", reason=str(error), printed={})
    end = spark_jobs.run(
        emulator.host,
        job.name,
        job.submission.arguments,
        environment=job.submission.environment,
        credentials=acting.environment,
        stopping=stopping,
        seconds=job.seconds,
        say=log.info,
    )
    if job.logs:
        _bring_logs(job, end)
    return end


def _bring_logs(job: Job, end: SparkEnd) -> None:
    """What was printed, compressed; where the role may not write there are no logs, on AWS too."""
    try:
        bucket, prefix = split_uri(job.logs.replace("s3n://", "s3://", 1))
        s3 = job.log_act().s3
        for stream, content in end.printed.items():
            key = f"{prefix.rstrip('/')}/{stream}.gz".lstrip("/")
            s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(content))
    except (BotoCoreError, ClientError, CannotAct, TransferFailed) as error:
        log.warning("no logs of %s in %s: %s", job.name, job.logs, error)
