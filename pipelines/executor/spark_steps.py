"""EMR and EMRServerless steps: a step of a cluster, or a job run of an application.

As EMRStep and EMRServerlessStep of the SDK describe them (sagemaker.mlops.workflow 1.27; developer
guide, "EMR step"): with `ClusterId` the step is added to that cluster; with `ClusterConfig` a
cluster is made for it and ended after it, and so is an application with `ApplicationConfig`.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from reprlib import repr as shown
from typing import Any

from pipelines.executor import retries
from pipelines.executor.drivers import (
    FIRST_POLL_SECONDS,
    LAST_POLL_SECONDS,
    Call,
    End,
    Progress,
    Services,
)
from pipelines.executor.grammar import Path, variable

CHOICES: Mapping[str, tuple[str, str]] = {
    "EMR": ("ClusterId", "ClusterConfig"),
    "EMRServerless": ("ApplicationId", "ApplicationConfig"),
}
"""Step type -> what names where it runs, and what makes that."""

_REQUESTS: Mapping[str, Mapping[str, tuple[str, str, frozenset[str]]]] = {
    "EMR": {
        "StepConfig": ("emr", "StepConfig", frozenset({"Name"})),
        "ClusterConfig": ("emr", "RunJobFlowInput", frozenset({"Name"})),
    },
    "EMRServerless": {
        "JobConfig": (
            "emr-serverless", "StartJobRunRequest", frozenset({"applicationId", "clientToken"}),
        ),
        "ApplicationConfig": (
            "emr-serverless", "CreateApplicationRequest", frozenset({"clientToken"}),
        ),
    },
}  # fmt: skip
"""Step type -> member of its Arguments -> service, shape, and what the step itself adds."""

OURS: Mapping[str, tuple[str, ...]] = {
    "": ("AutoTerminationPolicy", "Name", "Steps"),
    "Instances": ("KeepJobFlowAliveWhenNoSteps", "TerminationProtected"),
}
"""Member of a ClusterConfig, or none -> what of it is the step's own to say."""

_JOB = {"EMR": "StepConfig", "EMRServerless": "JobConfig"}
_MAY = {kind: {*choice, _JOB[kind], "ExecutionRoleArn"} for kind, choice in CHOICES.items()}
ENDS = {"COMPLETED": "Succeeded", "FAILED": "Failed", "CANCELLED": "Stopped",
        "INTERRUPTED": "Failed", "SUCCESS": "Succeeded"}  # fmt: skip
"""Last state of an EMR step or a job run -> status of the pipeline's step."""


def problems(kind: str, arguments: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the Arguments of a step by themselves."""
    for key in sorted(str(key) for key in arguments.keys() - _MAY[kind]):
        yield f"{where}.{key} is not a member of an {kind} step"
    named, made = CHOICES[kind]
    if (arguments.get(named) is None) == (arguments.get(made) is None):
        got = "neither" if arguments.get(named) is None else "both"
        yield f"{where} must hold one of {named}, {made}, got {got}"
    if arguments.get(_JOB[kind]) is None:
        yield f"{where}.{_JOB[kind]} is missing: an {kind} step requires it"
    if kind == "EMR":
        yield from _cluster_problems(arguments, where)


def _cluster_problems(arguments: Mapping[str, Any], where: str) -> Iterator[str]:
    config = arguments.get("ClusterConfig")
    if config is None:
        return
    if arguments.get("ExecutionRoleArn") is not None:
        yield f"{where}.ExecutionRoleArn needs a ClusterId: a cluster of the step's has its own"
    if not isinstance(config, Mapping):
        yield f"{where}.ClusterConfig must be an object, got {shown(config)}"
        return
    instances = config.get("Instances")
    held = instances if isinstance(instances, Mapping) else {}
    if variable(instances) is None and ("InstanceGroups" in held) == ("InstanceFleets" in held):
        told = "must hold one of InstanceGroups, InstanceFleets"
        yield f"{where}.ClusterConfig.Instances {told}, got {shown(instances)}"
    for path, members in OURS.items():
        inside = held if path else config
        for member in (one for one in members if one in inside):
            here = ".".join(filter(None, (where, "ClusterConfig", path, member)))
            yield f"{here} is the step's own to say"


def requests(
    kind: str, arguments: Mapping[str, Any], where: str
) -> Iterator[tuple[str, Any, Any, frozenset[str]]]:
    """Where each request stands, the request, its shape, and what the executor adds."""
    for member, (service, name, given) in _REQUESTS.get(kind, {}).items():
        value = arguments.get(member)
        if isinstance(value, Mapping) and variable(value) is None:
            yield f"{where}.{member}", value, _shape(service, name), given


def answered(kind: str, path: Path) -> Any:
    """The shape at the first member of what a step answers; None: it has no such member."""
    if kind == "EMR" and path[0] in ("ClusterId", "ExecutionRoleArn"):
        return _shape("emr", "String")
    if kind == "EMR":
        return _shape("emr", "Step").members.get(path[0])
    return _shape("emr-serverless", "GetJobRunResponse").members.get(path[0])


def on_cluster(call: Call, services: Services, progress: Progress) -> End:
    """Add the step to its cluster, or to one that is made for it, and wait for its end."""
    emr, arguments = services.client("emr"), call.arguments
    config = arguments.get("ClusterConfig")
    name = call.context.job_name
    cluster = arguments.get("ClusterId") or _made_cluster(emr, name, config or {})
    progress.move(status="Executing", metadata={"EMR": {"ClusterId": cluster}})
    try:
        step = {"Name": name, "ActionOnFailure": "CONTINUE", **arguments["StepConfig"]}
        role = arguments.get("ExecutionRoleArn")
        more = {"ExecutionRoleArn": role} if role else {}
        added = emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step], **more)["StepIds"][0]
        told = {"ClusterId": cluster, "StepId": added, "StepName": step["Name"]}
        logs = emr.describe_cluster(ClusterId=cluster)["Cluster"].get("LogUri")
        if logs:
            told["LogFilePath"] = f"{logs.rstrip('/')}/{cluster}/steps/{added}"
        progress.move(metadata={"EMR": told})
        ids = {"ClusterId": cluster, "StepId": added}
        answer = _watch(
            lambda: emr.describe_step(**ids)["Step"],
            lambda answer: answer["Status"]["State"],
            lambda: emr.cancel_steps(
                ClusterId=cluster,
                StepIds=[added],
                StepCancellationOption="TERMINATE_PROCESS",
            ),
            services.halt,
        )
    finally:
        if config is not None:
            emr.terminate_job_flows(JobFlowIds=[cluster])
    state, status = answer["Status"]["State"], answer["Status"]
    reason = status.get("FailureDetails", {}).get("Message") or status.get(
        "StateChangeReason", {}
    ).get("Message", "")
    ran_as = {"ExecutionRoleArn": role} if role else {}
    return _ended(state, reason, {**answer, "ClusterId": cluster, **ran_as})


def _made_cluster(emr: Any, name: str, config: Mapping[str, Any]) -> str:
    instances = {**config.get("Instances", {}), "KeepJobFlowAliveWhenNoSteps": True}
    made = emr.run_job_flow(**{**config, "Name": name, "Instances": instances})
    return str(made["JobFlowId"])


def serverless(call: Call, services: Services, progress: Progress) -> End:
    """Start the job run in its application, or in one that is made for it, and wait for its end."""
    client, arguments = services.client("emr-serverless"), call.arguments
    config, job = arguments.get("ApplicationConfig"), dict(arguments["JobConfig"])
    name = call.context.job_name
    application = arguments.get("ApplicationId") or str(
        client.create_application(**{"name": name, **(config or {})})["applicationId"]
    )
    progress.move(status="Executing", metadata={"EMRServerless": {"ApplicationId": application}})
    try:
        request = {"name": name, **job, "applicationId": application}
        run = client.start_job_run(**request)["jobRunId"]
        told = {"ApplicationId": application, "JobRunId": run, "JobRunName": request["name"]}
        logs = _serverless_logs(job)
        if logs:
            told["LogFilePath"] = f"{logs.rstrip('/')}/applications/{application}/jobs/{run}"
        progress.move(metadata={"EMRServerless": told})
        ids = {"applicationId": application, "jobRunId": run}
        answer = _watch(
            lambda: client.get_job_run(**ids)["jobRun"],
            lambda answer: answer["state"],
            functools.partial(client.cancel_job_run, **ids),
            services.halt,
        )
    finally:
        if config is not None:
            client.stop_application(applicationId=application)
            client.delete_application(applicationId=application)
    return _ended(answer["state"], answer.get("stateDetails", ""), {"jobRun": answer})


def _serverless_logs(job: Mapping[str, Any]) -> str:
    monitoring = job.get("configurationOverrides", {}).get("monitoringConfiguration", {})
    return str(monitoring.get("s3MonitoringConfiguration", {}).get("logUri") or "")


def _watch(
    ask: Callable[[], Mapping[str, Any]],
    state: Callable[[Mapping[str, Any]], str],
    stop: Callable[[], Any],
    halt: threading.Event,
) -> Mapping[str, Any]:
    """Ask until the state is final; stop it once when everything is to stop."""
    told = False
    wait = FIRST_POLL_SECONDS
    pause = threading.Event()
    while state(answer := ask()) not in ENDS:
        if halt.is_set() and not told:
            stop()
            told = True
        (pause if told else halt).wait(wait)
        wait = min(LAST_POLL_SECONDS, wait * 1.25)
    return answer


def _ended(state: str, reason: str, answer: Mapping[str, Any]) -> End:
    status = ENDS[state]
    if status == "Succeeded":
        return End(status, answer=answer)
    fault = retries.of_reason(reason) if status == "Failed" else ""
    return End(status, reason or f"it ended {state}", answer, fault)


@functools.cache
def _shape(service: str, name: str) -> Any:
    """A shape of a service, as botocore ships it."""
    import botocore.session

    return botocore.session.Session().get_service_model(service).shape_for(name)
