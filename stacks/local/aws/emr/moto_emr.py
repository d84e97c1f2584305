"""moto's EMR, whose steps stay as they began: here they run, one after the other, as on a cluster.

A step acts as the role of the cluster's instance profile (JobFlowRole), or as the runtime role that
AddJobFlowSteps names, which that role must be allowed to assume. Sources: EMR API reference,
RunJobFlow, AddJobFlowSteps, CancelSteps, StepStatus, ClusterStateChangeReason; management guide,
"Runtime roles for Amazon EMR steps" and "View log files" (where logs lie in S3).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emr import runs
from stacks.local.aws.emr.submission import NotSubmittable, defaults_of, of_step
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.spark_jobs import SparkEnd

LOCK = threading.RLock()
STOPPING: dict[str, threading.Event] = {}
"""Id of a step that runs -> what tells it to stop."""

OVER = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
LONGEST_SECONDS = 30 * 86_400.0
"""A step has no limit of its own on EMR."""

Operation = Callable[[Emulator, Any, Callable[[], Any]], Any]
"""Emulator, moto's response and moto's own operation -> the answer."""


def install(emulator: Emulator) -> None:
    """Let moto's clusters run their steps; what an earlier cloud ran is over."""
    from moto.emr.models import Cluster, Step
    from moto.emr.responses import ElasticMapReduceResponse as Response

    for cluster in moto_backend("emr", emulator).clusters.values():
        left = [step for step in cluster.steps if step.state in ("PENDING", "RUNNING")]
        for step in left:
            _move(step, "FAILED" if step.state == "RUNNING" else "CANCELLED", runs.ENDED)
        if left:
            _advance(emulator, cluster)
    Cluster.add_steps = _add_steps
    Cluster.status = property(_cluster_status)
    Step.status = property(_step_status)
    Step.config = property(_step_config)
    for name, act in OPERATIONS.items():
        setattr(Response, name, _answering(act, emulator, getattr(Response, name, None)))


def _answering(act: Operation, emulator: Emulator, own: Any) -> Any:
    @functools.wraps(own or act)
    def answer(response: Any) -> Any:
        with LOCK:
            return act(emulator, response, lambda: own(response))

    return answer


def _run_job_flow(emulator: Emulator, response: Any, own: Callable[[], Any]) -> Any:
    """A cluster, whose steps begin at once."""
    if response._get_param("BootstrapActions"):
        raise runs.not_emulated(NotSubmittable("BootstrapActions: no machine is prepared"))
    _check(response._get_param("Steps") or [])
    try:
        defaults = defaults_of([_plain(one) for one in response._get_param("Configurations") or []])
    except NotSubmittable as error:
        raise runs.not_emulated(error) from error
    profile = response._get_param("JobFlowRole")
    if profile and _role_of(profile) is None:
        raise _invalid(f"Invalid InstanceProfile: {profile}.")
    answer = own()
    cluster = moto_backend("emr", emulator).clusters[answer.result["JobFlowId"]]
    cluster.spark_defaults = defaults
    _advance(emulator, cluster)
    return answer


def _add_job_flow_steps(emulator: Emulator, response: Any, own: Callable[[], Any]) -> Any:
    backend, identifier = moto_backend("emr", emulator), response._get_param("JobFlowId")
    cluster = backend.clusters.get(identifier)
    if cluster is None:
        raise _invalid(f"Cluster id '{identifier}' is not valid.")
    if cluster.state in OVER:
        raise _invalid(
            "A job flow that is shutting down, terminated, or finished may not be modified."
        )
    _check(response._get_param("Steps") or [])
    answer = own()
    for identifier in answer.result["StepIds"]:
        step = backend.describe_step(cluster.id, identifier)
        step.execution_role_arn = response._get_param("ExecutionRoleArn")
    _advance(emulator, cluster)
    return answer


def _cancel_steps(emulator: Emulator, response: Any, _: Callable[[], Any]) -> Any:
    """Steps that wait are cancelled, those that run are ended (EMR 5.28 and later)."""
    from moto.core.responses import ActionResult

    cluster = moto_backend("emr", emulator).describe_cluster(response._get_param("ClusterId"))
    told = []
    for identifier in response._get_param("StepIds") or []:
        step = next((one for one in cluster.steps if one.id == identifier), None)
        can = step is not None and step.state in ("PENDING", "RUNNING")
        reason = "" if can else f"Step {identifier} does not exist or is over"
        told.append(
            {"StepId": identifier, "Status": "SUBMITTED" if can else "FAILED", "Reason": reason}
        )
        if can:
            _cancel(step)
    _advance(emulator, cluster)
    return ActionResult({"CancelStepsInfoList": told})


def _terminate_job_flows(emulator: Emulator, response: Any, own: Callable[[], Any]) -> Any:
    answer = own()  # which refuses where a cluster is protected
    for identifier in response._get_param("JobFlowIds") or []:
        _terminate(
            moto_backend("emr", emulator).clusters[identifier],
            "USER_REQUEST",
            "Terminated by user request",
        )
    return answer


OPERATIONS = {
    "add_job_flow_steps": _add_job_flow_steps,
    "cancel_steps": _cancel_steps,
    "run_job_flow": _run_job_flow,
    "terminate_job_flows": _terminate_job_flows,
}


def _check(steps: Any) -> None:
    """NotEmulated where a step is nothing that runs here."""
    for step in steps:
        try:
            of_step(_plain(step["HadoopJarStep"]))
        except NotSubmittable as error:
            told = NotSubmittable(f"step {step.get('Name')!r}: {error}")
            raise runs.not_emulated(told) from error


def _advance(emulator: Emulator, cluster: Any) -> None:
    """Begin the steps whose turn it is, or end a cluster that was to live only for them."""
    with LOCK:
        if cluster.state in OVER:
            return
        running = sum(step.state == "RUNNING" for step in cluster.steps)
        waiting = [step for step in cluster.steps if step.state == "PENDING"]
        for step in waiting[: max(0, cluster.step_concurrency_level - running)]:
            _begin(emulator, cluster, step)
            running += 1
        if running:
            cluster.state = "RUNNING"
        elif cluster.keep_job_flow_alive_when_no_steps:
            cluster.state = "WAITING"
        else:
            _terminate(cluster, "ALL_STEPS_COMPLETED", "Steps completed")


def _begin(emulator: Emulator, cluster: Any, step: Any) -> None:
    from moto.core.utils import utcnow

    step.state, step.start_date_time = "RUNNING", utcnow()
    stopping = STOPPING[step.id] = threading.Event()

    def work() -> None:
        end = runs.run(emulator, _job(emulator, cluster, step), stopping)
        _end(emulator, cluster, step, end)

    def broken(error: BaseException) -> None:
        _end(emulator, cluster, step, SparkEnd(status="Failed", reason=repr(error), printed={}))

    emulator.background(work, broken=broken)


def _job(emulator: Emulator, cluster: Any, step: Any) -> runs.Job:
    submission = of_step(_plain(step.hadoop_jar_step)).under(getattr(cluster, "spark_defaults", {}))
    own = functools.partial(_acting, emulator, cluster)
    runtime_role = getattr(step, "execution_role_arn", None)
    act = functools.partial(_assumed, emulator, own, runtime_role, step.id) if runtime_role else own
    return runs.Job(
        name=f"emr-{step.id}",
        submission=submission,
        act=act,
        logs=_logs(cluster, step),
        log_act=own,
        seconds=LONGEST_SECONDS,
    )


def _logs(cluster: Any, step: Any) -> str:
    base = str(cluster.log_uri or "").rstrip("/")
    return f"{base}/{cluster.id}/steps/{step.id}" if base else ""


def _acting(emulator: Emulator, cluster: Any) -> Acting:
    """What the cluster's machines act as."""
    arn = _role_of(cluster.role)
    if arn is None:
        raise CannotAct(f"JobFlowRole {cluster.role} is no instance profile with a role")
    return emulator.act(arn, service="ec2", session_name=cluster.id)


def _assumed(
    emulator: Emulator, own: Callable[[], Acting], role_arn: str, session_name: str
) -> Acting:
    """A runtime role as the cluster's machines assume it; IAM decides whether they may."""
    try:
        answer = own().client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session_name)
    except ClientError as error:
        raise CannotAct(str(error)) from error
    keys = answer["Credentials"]
    return emulator.acting_by(
        {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }
    )


def _role_of(profile: str) -> str | None:
    """The ARN of the role of an instance profile, by its name or ARN."""
    from moto.iam.models import iam_backends

    name = profile.rpartition("/")[2]
    for found in iam_backends[ACCOUNT_ID]["aws"].instance_profiles.values():
        if found.name == name and found.roles:
            return str(found.roles[0].arn)
    return None


def _end(emulator: Emulator, cluster: Any, step: Any, end: SparkEnd) -> None:
    """Say how a step ended, and do what it says about a failure."""
    with LOCK:
        STOPPING.pop(step.id, None)
        states = {"Completed": "COMPLETED", "Failed": "FAILED", "Stopped": "CANCELLED"}
        _move(step, states[end.status], end.reason)
        if end.status == "Failed":
            log_file = f"{_logs(cluster, step)}/stderr.gz" if _logs(cluster, step) else ""
            step.failure_details = {
                "Reason": "Unknown Error.",
                "Message": end.reason,
                **({"LogFile": log_file} if log_file else {}),
            }
            if step.action_on_failure != "CONTINUE":
                for other in cluster.steps:
                    if other.state == "PENDING":
                        _move(other, "CANCELLED", "Cancelled by an earlier step that failed")
            if step.action_on_failure.startswith("TERMINATE_"):
                _terminate(cluster, "STEP_FAILURE", "Shut down as step failed")
        emulator.spark_ends["emr"] += 1
    _advance(emulator, cluster)


def _cancel(step: Any) -> None:
    if step.state == "PENDING":
        _move(step, "CANCELLED", "Cancelled by user")
    elif step.id in STOPPING:
        STOPPING[step.id].set()


def _terminate(cluster: Any, code: str, message: str) -> None:
    from moto.core.utils import utcnow

    for step in cluster.steps:
        _cancel(step)
    cluster.state = "TERMINATED_WITH_ERRORS" if code == "STEP_FAILURE" else "TERMINATED"
    cluster.end_datetime = utcnow()
    cluster.state_change = {"Code": code, "Message": message}


def _move(step: Any, state: str, reason: str = "") -> None:
    from moto.core.utils import utcnow

    step.state, step.end_date_time = state, utcnow()
    step.last_state_change_reason = reason or None


def _add_steps(cluster: Any, steps: Any) -> list[Any]:
    """In place of moto's, for whom the first step runs for ever."""
    from moto.emr.models import Step

    added = [Step(state="PENDING", **step) for step in steps]
    cluster.steps += added
    return added


def _cluster_status(cluster: Any) -> dict[str, Any]:
    return {
        "State": cluster.state,
        "StateChangeReason": getattr(cluster, "state_change", {}),
        "Timeline": _timeline(
            CreationDateTime=cluster.creation_datetime,
            ReadyDateTime=cluster.ready_datetime,
            EndDateTime=cluster.end_datetime,
        ),
    }


def _step_status(step: Any) -> dict[str, Any]:
    reason = getattr(step, "last_state_change_reason", None)
    details = getattr(step, "failure_details", None)
    return {
        "State": step.state,
        "StateChangeReason": {"Message": reason} if reason else {},
        **({"FailureDetails": details} if details else {}),
        "Timeline": _timeline(
            CreationDateTime=step.creation_date_time,
            StartDateTime=step.start_date_time,
            EndDateTime=step.end_date_time,
        ),
    }


def _timeline(**times: Any) -> dict[str, Any]:
    return {name: time for name, time in times.items() if time is not None}


def _step_config(step: Any) -> dict[str, Any]:
    given = _plain(step.hadoop_jar_step)
    properties = {one["Key"]: one["Value"] for one in given.get("Properties") or ()}
    return {**given, "Args": list(given.get("Args") or ()), "Properties": properties}


def _plain(value: Any) -> Any:
    """moto's dictionaries, which have names in two forms, with the names of the API."""
    return value.original_dict() if hasattr(value, "original_dict") else value


def _invalid(message: str) -> Exception:
    from moto.emr.exceptions import ValidationException

    error: Exception = ValidationException(message)
    return error
