"""Job runs of EMR Serverless: what the recorder keeps of them runs, and says how it ended.

A run acts as its execution role, which must trust `emr-serverless.amazonaws.com`. Sources: EMR
Serverless API reference, StartJobRun, JobRun, CancelJobRun; user guide, "Storing logs" (where they
lie in S3) and "Job runtime roles". An application starts by its first job and stays STARTED: its
idle time is not waited for.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.emr import runs
from stacks.local.aws.emr.submission import NotSubmittable, Submission, defaults_of, of_driver
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.protocols import error_of
from stacks.local.aws.recorded.engines import APPLICATION, JOB_RUN
from stacks.local.aws.recorded.recorder import After, Store, Thing
from stacks.local.runtime.spark_jobs import SparkEnd

SERVICE = "emr-serverless"
UNDER_WAY = ("SUBMITTED", "PENDING", "SCHEDULED", "RUNNING", "CANCELLING")
LEAST_MINUTES, USUAL_MINUTES = 5, 720
"""Of executionTimeoutMinutes: the smallest, and what it is where nobody says it."""

DETAILS_LENGTH = 256
STOPPING: dict[str, threading.Event] = {}
"""Id of a run under way -> what tells it to stop."""

NOT_PLAYED = ("executionIamPolicy", "flexExecution", "retryPolicy")
"""Members of StartJobRun that nothing acts upon."""

MONITORING = ("cloudWatchLoggingConfiguration", "prometheusMonitoringConfiguration")
"""Places for logs and metrics that nothing is brought to."""


def after(emulator: Emulator) -> Mapping[tuple[str, str], After]:
    """What follows once the recorder has done an operation."""
    acts: Mapping[str, After] = {
        "CancelJobRun": _cancelled,
        "ListJobRuns": _listed,
        "StartApplication": functools.partial(_moved, "STARTED"),
        "StartJobRun": functools.partial(_started, emulator),
        "StopApplication": functools.partial(_moved, "STOPPED"),
    }
    return {(SERVICE, name): act for name, act in acts.items()}


def end_what_ran(store: Store) -> None:
    """Runs that a cloud left when it stopped have failed."""
    for thing in store.of(JOB_RUN).values():
        if thing.members["state"] in UNDER_WAY:
            _move(thing, "FAILED", runs.ENDED)


def _started(emulator: Emulator, store: Store, request: Mapping[str, Any]) -> None:
    """Begin the run that was recorded last, or refuse it and forget it."""
    key, thing = list(store.of(JOB_RUN).items())[-1]
    application = store.of(APPLICATION).get((str(request["applicationId"]),))
    try:
        if application is None:
            told = f"Application {request['applicationId']} does not exist"
            raise error_of("ResourceNotFoundException", told)
        job = _job(emulator, application.members, thing.members)
    except NotSubmittable as error:
        del store.of(JOB_RUN)[key]
        raise runs.not_emulated(error) from error
    except Exception:
        del store.of(JOB_RUN)[key]
        raise
    application.members["state"] = "STARTED"
    thing.members |= {
        "releaseLabel": application.members["releaseLabel"],
        "type": "SPARK",
        "executionTimeoutMinutes": request.get("executionTimeoutMinutes", USUAL_MINUTES),
    }
    _move(thing, "SCHEDULED")
    _begin(emulator, store, thing, job)


def _begin(emulator: Emulator, store: Store, thing: Thing, job: runs.Job) -> None:
    stopping = STOPPING[thing.key[-1]] = threading.Event()

    def ended(end: SparkEnd) -> None:
        with store.lock:
            STOPPING.pop(thing.key[-1], None)
            _end(thing, end)
            emulator.spark_ends[SERVICE] += 1

    def work() -> None:
        with store.lock:
            if not stopping.is_set():
                thing.members["startedAt"] = datetime.now(UTC)
                _move(thing, "RUNNING")
        ended(runs.run(emulator, job, stopping))

    def broken(error: BaseException) -> None:
        ended(SparkEnd(status="Failed", reason=repr(error), printed={}))

    emulator.background(work, broken=broken)


def _job(
    emulator: Emulator, application: Mapping[str, Any], members: Mapping[str, Any]
) -> runs.Job:
    """What a run is, from what its application and its request say."""
    minutes = members.get("executionTimeoutMinutes", USUAL_MINUTES)
    if 0 < minutes < LEAST_MINUTES:
        told = f"RunTimeout must be at least {LEAST_MINUTES} minutes."
        raise error_of("ValidationException", told)
    if application.get("imageConfiguration"):
        raise NotSubmittable("imageConfiguration: no image is run")
    if str(application.get("type")).lower() != "spark":
        raise NotSubmittable(f"type: only Spark runs here, got {application.get('type')}")
    for name in NOT_PLAYED:
        if members.get(name):
            raise NotSubmittable(f"{name}: nothing acts upon it")
    if members["mode"] != "BATCH":
        raise NotSubmittable(f"mode: only BATCH runs here, got {members['mode']}")
    act = functools.partial(
        emulator.act,
        members["executionRole"],
        members["arn"],
        service=SERVICE,
        session_name=members["jobRunId"],
    )
    return runs.Job(
        name=f"emr-serverless-{members['jobRunId']}",
        submission=_submission(application, members),
        act=act,
        logs=_logs(application, members),
        log_act=act,
        seconds=60.0 * (minutes or 365 * 24 * 60),
    )


def _submission(application: Mapping[str, Any], members: Mapping[str, Any]) -> Submission:
    """Properties of the application, of the run's overrides, and of its own parameters."""
    overrides = members.get("configurationOverrides") or {}
    given = [
        *(application.get("runtimeConfiguration") or ()),
        *(overrides.get("applicationConfiguration") or ()),
    ]
    return of_driver(members.get("jobDriver") or {}).under(defaults_of(given))


def _logs(application: Mapping[str, Any], members: Mapping[str, Any]) -> str:
    """Where the driver's logs go: what the run says, else the application; empty: nowhere."""
    overrides = (members.get("configurationOverrides") or {}).get("monitoringConfiguration")
    said = {**(application.get("monitoringConfiguration") or {}), **(overrides or {})}
    for name in MONITORING:
        if said.get(name, {}).get("enabled", name != MONITORING[0]) and name in said:
            raise NotSubmittable(f"{name}: logs go to S3 alone")
    base = str(said.get("s3MonitoringConfiguration", {}).get("logUri") or "").rstrip("/")
    ids = f"applications/{members['applicationId']}/jobs/{members['jobRunId']}"
    return f"{base}/{ids}/SPARK_DRIVER" if base else ""


def _end(thing: Thing, end: SparkEnd) -> None:
    ended = datetime.now(UTC)
    seconds = (ended - thing.members.get("startedAt", ended)).total_seconds()
    thing.members |= {"endedAt": ended, "totalExecutionDurationSeconds": int(seconds)}
    if end.status == "Failed":
        code = "" if end.exit_code is None else f" ExitCode: {end.exit_code}."
        told = f"Job failed, please check complete logs in configured logging destination.{code}"
        _move(thing, "FAILED", f"{told} Last few exceptions: {end.reason}")
    else:
        _move(thing, "SUCCESS" if end.status == "Completed" else "CANCELLED", end.reason)


def _move(thing: Thing, state: str, details: str = "") -> None:
    now = datetime.now(UTC)
    thing.members |= {
        "state": state,
        "stateDetails": details[:DETAILS_LENGTH],
        "updatedAt": now,
        "attemptUpdatedAt": now,
    }


def _cancelled(store: Store, request: Mapping[str, Any]) -> None:
    """Tell a run to stop; one that is over stays as it is."""
    thing = store.of(JOB_RUN)[str(request["applicationId"]), str(request["jobRunId"])]
    stopping = STOPPING.get(thing.key[-1])
    if stopping is not None:
        _move(thing, "CANCELLING")
        stopping.set()


def _moved(state: str, store: Store, request: Mapping[str, Any]) -> None:
    store.of(APPLICATION)[(str(request["applicationId"]),)].members["state"] = state


def _listed(store: Store, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Runs of an application in these states, the newest first."""
    states = request.get("states") or ()
    found = [
        thing.members
        for key, thing in store.of(JOB_RUN).items()
        if key[0] == request["applicationId"] and (not states or thing.members["state"] in states)
    ]
    return {"jobRuns": found[::-1]}
