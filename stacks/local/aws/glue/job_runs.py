"""Runs of Glue's jobs: they run as the job's role, and say how they ended.

Sources: Glue API reference, StartJobRun, JobRun, BatchStopJobRun; developer guide, "Logging for AWS
Glue jobs" (groups and streams of logs). moto 5.2.5 calls a run SUCCEEDED when it is asked for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.glue import commands
from stacks.local.runtime import glue_jobs
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.s3_files import TransferFailed, split_uri

UNDER_WAY = ("STARTING", "RUNNING", "STOPPING", "WAITING")
STATES = {"Completed": "SUCCEEDED", "Failed": "FAILED", "Stopped": "STOPPED", "Late": "TIMEOUT"}
USUAL_MINUTES = 2880
ENDED = "the local cloud ended meanwhile"
GROUPS = {commands.SHELL: "/aws-glue/python-jobs", commands.ETL: "/aws-glue/jobs"}
STREAMS = {"stdout": "output", "stderr": "error"}
EVENTS = 10_000
"""Most lines of a stream in its log; the file of the run has all."""

LOCK = threading.RLock()
STOPPING: dict[str, threading.Event] = {}
"""Id of a run under way -> what tells it to stop."""

log = logging.getLogger(__name__)


def install(emulator: Emulator) -> None:
    """Let moto's jobs run; what an earlier cloud ran is over."""
    from moto.glue.models import FakeJob, FakeJobRun
    from moto.glue.responses import GlueResponse

    for job in moto_backend("glue", emulator).jobs.values():
        for run in job.job_runs:
            if run._status in UNDER_WAY:
                _move(run, "FAILED", ENDED)
    start = FakeJob.start_job_run

    def started(job: Any, **asked: Any) -> Any:
        given = {**job.default_arguments, **(asked.get("arguments") or {})}
        commands.check(job, {**given, **(job.non_overridable_arguments or {})})
        with LOCK:
            identifier = start(job, **asked)
            run = job.job_runs[-1]
            _prepare(job, run)
        _begin(emulator, job, run)
        return identifier

    FakeJob.start_job_run = started
    FakeJobRun.as_dict = _shown
    FakeJobRun.advance = lambda run: None
    FakeJobRun.status = property(lambda run: run._status)
    GlueResponse.batch_stop_job_run = _batch_stop


def _prepare(job: Any, run: Any) -> None:
    run.attempt, run.error, run.command = 0, "", job.command["Name"]
    run.completed_on, run._status = None, "STARTING"
    run.timeout = run.timeout or USUAL_MINUTES
    run.glue_version = job.glue_version


def _begin(emulator: Emulator, job: Any, run: Any) -> None:
    stopping = STOPPING[run.job_run_id] = threading.Event()

    def ended(end: glue_jobs.End) -> None:
        with LOCK:
            STOPPING.pop(run.job_run_id, None)
            _move(run, STATES[end.status], end.reason)
            emulator.spark_ends["glue"] += 1
            again = _next_attempt(job, run) if end.status == "Failed" else None
        if again is not None:
            _begin(emulator, job, again)

    def work() -> None:
        with LOCK:
            if not stopping.is_set():
                run._status = "RUNNING"
        ended(_run(emulator, job, run, stopping))

    def broken(error: BaseException) -> None:
        ended(glue_jobs.End(status="Failed", reason=repr(error), printed={}))

    emulator.background(work, broken=broken)


def _next_attempt(job: Any, run: Any) -> Any:
    """The next run of a job that is tried again (MaxRetries)."""
    from moto.glue.models import FakeJobRun

    if run.attempt >= int(job.max_retries or 0):
        return None
    again = FakeJobRun(
        job_name=job.name, arguments=run.arguments, allocated_capacity=run.allocated_capacity,
        max_capacity=run.max_capacity, timeout=run.timeout, worker_type=run.worker_type,
        security_configuration=run.security_configuration, job_run_id=run.job_run_id,
        number_of_workers=run.number_of_workers, notification_property=run.notification_property,
    )  # fmt: skip
    _prepare(job, again)
    first = run.job_run_id.partition("_attempt_")[0]
    again.attempt = run.attempt + 1
    again.job_run_id = f"{first}_attempt_{again.attempt}"
    job.job_runs.append(again)
    return again


def _run(emulator: Emulator, job: Any, run: Any, stopping: threading.Event) -> glue_jobs.End:
    """Run it to its end, then bring what it printed to its logs."""
    role = job.role if job.role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT_ID}:role/{job.role}"
    name, seconds = f"glue-{run.job_run_id}", 60.0 * run.timeout
    words = commands.words(job, run.job_run_id, run.arguments or {})
    where = job.command["ScriptLocation"]
    try:
        acting = emulator.act(
            role, job.arn, service="glue", session_name=f"GlueJobRunnerSession-{job.name}"[:64]
        )
        script = _script(acting, where)
    except CannotAct:
        told = f"Role {role} should be given assume role permissions for Glue Service."
        return glue_jobs.End(status="Failed", reason=told, printed={})
    except (ClientError, BotoCoreError, TransferFailed) as error:
        return glue_jobs.End(status="Failed", reason=f"{where}: {error}", printed={})
    if run.command == commands.SHELL:
        end = glue_jobs.shell(
            emulator.host, name, script, words, credentials=acting.environment,
            stopping=stopping, seconds=seconds,
        )  # fmt: skip
    else:
        end = glue_jobs.etl(
            emulator.host, name, where, words, credentials=acting.environment,
            stopping=stopping, seconds=seconds, say=log.info,
        )  # fmt: skip
    _bring_logs(emulator, run, end.printed)
    return end


def _script(acting: Acting, where: str) -> bytes:
    bucket, key = split_uri(where)
    body: bytes = acting.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def _bring_logs(emulator: Emulator, run: Any, printed: Mapping[str, bytes]) -> None:
    logs, now = moto_backend("logs", emulator), int(time.time() * 1000)
    for stream, word in STREAMS.items():
        group, lines = f"{GROUPS[run.command]}/{word}", printed.get(stream, b"").splitlines()
        logs.ensure_log_group(group)
        logs.create_log_stream(group, run.job_run_id)
        events = [
            {"timestamp": now, "message": line.decode(errors="replace")}
            for line in lines[-EVENTS:]
            if line.strip()
        ]
        if events:
            logs.put_log_events(group, run.job_run_id, events)


def _move(run: Any, state: str, error: str = "") -> None:
    from moto.core.utils import utcnow

    run._status, run.error = state, error
    run.modified_on = run.completed_on = utcnow()


def _shown(run: Any) -> dict[str, Any]:
    """A JobRun, as far as the run is."""
    until: datetime = run.completed_on or run.modified_on
    command = getattr(run, "command", commands.ETL)
    members = {
        "Id": run.job_run_id,
        "Attempt": getattr(run, "attempt", 0),
        "PreviousRunId": run.previous_run_id,
        "JobName": run.job_name,
        "JobMode": "SCRIPT",
        "StartedOn": run.started_on,
        "LastModifiedOn": run.modified_on,
        "CompletedOn": run.completed_on,
        "JobRunState": run._status,
        "Arguments": run.arguments or None,
        "ErrorMessage": getattr(run, "error", "") or None,
        "PredecessorRuns": [],
        "AllocatedCapacity": run.allocated_capacity,
        "ExecutionTime": int((until - run.started_on).total_seconds()),
        "Timeout": run.timeout,
        "MaxCapacity": run.max_capacity,
        "NotificationProperty": run.notification_property,
        "WorkerType": run.worker_type,
        "NumberOfWorkers": run.number_of_workers,
        "SecurityConfiguration": run.security_configuration,
        "LogGroupName": GROUPS[command],
        "GlueVersion": getattr(run, "glue_version", None),
    }
    return {name: value for name, value in members.items() if value is not None}


def _batch_stop(response: Any) -> Any:
    """BatchStopJobRun: runs under way are told to stop, others are errors of the answer."""
    from moto.core.responses import ActionResult

    name = response._get_param("JobName")
    job = response.glue_backend.get_job(name)
    stopped, errors = [], []
    for identifier in response._get_param("JobRunIds") or []:
        run = next((one for one in job.job_runs if one.job_run_id == identifier), None)
        with LOCK:
            stopping = STOPPING.get(identifier)
            if run is not None and stopping is not None:
                run._status = "STOPPING"
                stopping.set()
                stopped.append({"JobName": name, "JobRunId": identifier})
                continue
        code = "EntityNotFoundException" if run is None else "IllegalJobRunStateException"
        told = "is not there" if run is None else f"is {run._status}"
        detail = {"ErrorCode": code, "ErrorMessage": f"Job run {identifier} {told}"}
        errors.append({"JobName": name, "JobRunId": identifier, "ErrorDetail": detail})
    return ActionResult({"SuccessfulSubmissions": stopped, "Errors": errors})
