"""Processing and training jobs as resources: created, they run; stopped, they stop."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from stacks.local.aws.container_logs import job_stream
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker import input_data, job_lineage, monitoring_metrics
from stacks.local.aws.sagemaker.errors import can_assume, has_program, invalid, not_emulated
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.role_needs import may_log, refused
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource
from stacks.local.runtime.container import OPT_ML
from stacks.local.runtime.images import NoProgram, Purpose, command
from stacks.local.runtime.job_metrics import metric_series
from stacks.local.runtime.jobs import (
    FAILURE_REASON_LIMIT,
    Ending,
    instances,
    managed,
)

Runner = Callable[[Request, str, threading.Event], Ending]

ON_THE_WAY: Mapping[str, str] = {
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
}
"""Secondary statuses of a training job between its start and its end, and what SageMaker says then
(SecondaryStatusTransition, API reference)."""

SWITCHES = (
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
)
"""Members of a training job that are shown where nobody said them (DescribeTrainingJob, API
reference)."""

OVER = frozenset({"Completed", "Failed", "MaxRuntimeExceeded", "Stopped"})
"""Secondary statuses of a training job that has ended."""

STATUSES = ("HyperParameterTuningJobStatus", "ProcessingJobStatus", "TrainingJobStatus")
"""Of jobs that can be deleted."""


def start_processing(emulator: Emulator, item: Resource, request: Request) -> None:
    """Run a processing job in the background."""
    check_instances(
        emulator,
        request["ProcessingResources"]["ClusterConfig"],
        isolated=request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
    )
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", ())
    if any("FeatureStoreOutput" in entry for entry in managed(outputs)):
        raise invalid("FeatureStoreOutput is only supported when AppManaged is specified")
    inputs = [
        entry.get("S3Input") or entry["DatasetDefinition"]
        for entry in managed(request.get("ProcessingInputs", ()))
    ]
    # aws/sagemaker-python-sdk issue 4939
    _once("LocalPath of ProcessingInputs", [place.get("LocalPath") for place in inputs])
    for place in (*inputs, *(entry["S3Output"] for entry in managed(outputs))):
        _local_path(place.get("LocalPath", ""), f"{OPT_ML}/processing")
    _start(emulator, item, "ProcessingJob", request, emulator.jobs.process)


def start_training(emulator: Emulator, item: Resource, request: Request) -> None:
    """Run a training job in the background."""
    check_training(emulator, request)
    place = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{item.name}/output"
    item.set(
        ModelArtifacts={"S3ModelArtifacts": f"{place}/model.tar.gz"},  # where it is to be
        OutputDataConfig={"KmsKeyId": "", **request["OutputDataConfig"]},
        StoppingCondition=request.get("StoppingCondition", {"MaxRuntimeInSeconds": 86_400}),
    )

    def reached(status: str) -> None:
        with emulator.store.lock:
            if not item.live.is_set():  # else it is Stopping
                _secondary(item, status, ON_THE_WAY[status])

    def run(request: Request, arn: str, stopping: threading.Event) -> Ending:
        return emulator.jobs.train(request, arn, stopping, reached)

    _start(emulator, item, "TrainingJob", request, run)


def check_training(emulator: Emulator, request: Request) -> None:
    """ValidationException where a training job could not begin."""
    algorithm = request.get("AlgorithmSpecification")
    if algorithm is None or "ResourceConfig" not in request:
        raise invalid("AlgorithmSpecification and ResourceConfig are required")
    if not algorithm.get("ContainerEntrypoint"):
        has_program(algorithm.get("TrainingImage", ""), "train")
    isolated = request.get("EnableNetworkIsolation", False)
    check_instances(emulator, request["ResourceConfig"], isolated=isolated)
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise invalid(f"Regex of metric {definition['Name']!r} is invalid: {error}") from error
    limits = request.get("StoppingCondition", {})
    runs, waits = (limits.get(f"Max{what}InSeconds") for what in ("Runtime", "WaitTime"))
    if request.get("EnableManagedSpotTraining") and waits is None:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds where EnableManagedSpotTraining is true"
        )
    if runs is not None and waits is not None and waits < runs:
        raise invalid(
            f"MaxWaitTimeInSeconds ({waits}) must be at least MaxRuntimeInSeconds ({runs})"
        )
    _once("ChannelName", [channel["ChannelName"] for channel in request.get("InputDataConfig", ())])
    if "CheckpointConfig" in request:
        _local_path(request["CheckpointConfig"].get("LocalPath", OPT_ML), OPT_ML)


def stop_job(emulator: Emulator, item: Resource, stem: str) -> None:
    """Ask a running job to stop."""
    with emulator.store.lock:
        item.set(**{f"{stem}Status": "Stopping"})
        if stem == "TrainingJob":
            _secondary(item, "Stopping", "Stopping the training job")
    item.live.set()


def _start(emulator: Emulator, item: Resource, stem: str, request: Request, run: Runner) -> None:
    can_assume(emulator.region, request["RoleArn"], item.arn)
    input_data.check(emulator, request, request["RoleArn"], item.arn)
    job_lineage.check(emulator, request)
    job_lineage.start(emulator, item, stem, {**request, **item.fields})
    stopping = threading.Event()
    item.live = stopping
    training = stem == "TrainingJob"
    item.set(**{f"{stem}Status": "InProgress"})
    if training:
        for name in SWITCHES:
            item.fields.setdefault(name, False)
        _secondary(item, "Starting", "Starting the training job")

    def work() -> None:
        with emulator.store.lock:
            item.set(**{f"{'Training' if training else 'Processing'}StartTime": now()})
        acting = emulator.act(request["RoleArn"], item.arn)
        reason = (
            emulator.faults.no_capacity(f"Create{stem}")
            or _without_program(request, "train" if training else "process")
            or refused(emulator, acting, request, f"/aws/sagemaker/{stem}s")
        )
        logs = emulator.jobs.logs(item.name, instances(request))
        if may_log(emulator, acting, f"/aws/sagemaker/{stem}s"):
            for host, log in logs.items():
                log.unlink(missing_ok=True)  # of a job that was called the same
                stream = job_stream(item.name, item.arn, host)
                emulator.logs.follow(log, f"/aws/sagemaker/{stem}s", stream)
        if reason:
            ending = Ending(status="Failed", failure_reason=reason)
        else:
            ending = run(request, item.arn, stopping)
        for log in logs.values():
            emulator.logs.end(log, moto_backend("logs", emulator))
        if "MonitoringScheduleArn" in item.fields:
            monitoring_metrics.publish(emulator, acting, request["Environment"], ending.told)
        _publish(emulator, item, list(logs.values()))
        finish(emulator, item, stem, ending)

    def broken(error: BaseException) -> None:
        reason = f"InternalServerError: {error!r}"
        finish(emulator, item, stem, Ending(status="Failed", failure_reason=reason))

    emulator.background(work, broken=broken)


def finish(emulator: Emulator, item: Resource, stem: str, ending: Ending) -> None:
    """Say how a job ended, in its own words and in those of lineage."""
    with emulator.store.lock:
        ENDS[stem](item, ending)
        job_lineage.end(emulator, item, stem)


def _without_program(request: Request, purpose: Purpose) -> str:
    """Why nothing can be run for a job's image, as its FailureReason; empty: something can."""
    said = request.get("AlgorithmSpecification") or request["AppSpecification"]
    if said.get("ContainerEntrypoint"):
        return ""
    try:
        command(said.get("TrainingImage") or said.get("ImageUri", ""), purpose)
    except NoProgram as error:
        return f"ClientError: {error}"[:FAILURE_REASON_LIMIT]
    return ""


def _publish(emulator: Emulator, item: Resource, logs: Sequence[Path]) -> None:
    """What the metrics' expressions found, in CloudWatch (developer guide, "Use Amazon CloudWatch
    metrics for monitoring and analyzing training jobs"): by the minute, so at the job's end.

    A processing job has none."""
    dimensions = [{"Name": "TrainingJobName", "Value": item.name}]
    found = [
        {"MetricName": one["Name"], "Unit": "None", "Dimensions": dimensions, "Values": values}
        for one in item.fields.get("AlgorithmSpecification", {}).get("MetricDefinitions", ())
        if (values := [value for log in logs for value in metric_series(log, one["Regex"])])
    ]
    if found:
        moto_backend("cloudwatch", emulator).put_metric_data("/aws/sagemaker/TrainingJobs", found)


def _end_processing(item: Resource, ending: Ending) -> None:
    item.set(
        ProcessingJobStatus=ending.status,
        ProcessingEndTime=now(),
        FailureReason=ending.failure_reason,
        ExitMessage=ending.exit_message,
    )


def _end_training(item: Resource, ending: Ending) -> None:
    end = now()
    started: datetime = item.fields.get("TrainingStartTime", end)
    seconds = max(1, round((end - started).total_seconds()))
    metrics = [
        {"MetricName": name, "Value": value, "Timestamp": end}
        for name, value in (ending.metrics or {}).items()
    ]
    item.set(
        TrainingJobStatus=ending.status,
        TrainingEndTime=end,
        TrainingTimeInSeconds=seconds,
        BillableTimeInSeconds=seconds,
        FailureReason=ending.failure_reason,
        FinalMetricDataList=metrics or None,
    )
    _secondary(
        item,
        "MaxRuntimeExceeded" if ending.timed_out else ending.status,
        ending.failure_reason or f"Training job {ending.status.lower()}",
    )


def _secondary(item: Resource, status: str, message: str) -> None:
    """Move the secondary status on, keeping its history."""
    time = now()
    history: list[dict[str, Any]] = list(item.fields.get("SecondaryStatusTransitions", []))
    if history:
        history[-1] = {**history[-1], "EndTime": time}
    last = {"EndTime": time} if status in OVER else {}
    history.append({"Status": status, "StartTime": time, **last, "StatusMessage": message})
    item.set(SecondaryStatus=status, SecondaryStatusTransitions=history)


def check_instances(emulator: Emulator, cluster: Request, *, isolated: bool) -> None:
    """NotEmulated where the instances of a job cannot be played."""
    if cluster.get("InstanceGroups"):
        raise not_emulated("a cluster of instance groups", "every instance of a job is alike")
    if cluster.get("InstanceType") and "InstanceCount" not in cluster:
        raise invalid("InstanceCount must be given with InstanceType")
    if cluster.get("InstanceCount", 1) > 1 and (isolated or not emulator.host.namespace):
        why = "without a network they cannot reach each other"
        if not isolated:
            why = "their names need a mount namespace, which this kernel does not grant"
        raise not_emulated("more than one instance here", why)
    if not cluster.get("InstanceType"):
        raise not_emulated("a cluster without InstanceType", "preferences are not resolved")


def _local_path(path: str, base: str) -> None:
    if not (path == base or path.startswith(f"{base}/")) or ".." in path.split("/"):
        raise invalid(f"LocalPath must start with {base!r}, got {path!r}")


def _once(what: str, values: Sequence[Any]) -> None:
    """ValidationException where two inputs would lie in one folder."""
    if len(set(values)) < len(values):
        raise invalid(f"{what} must be unique, got {values}")


def _end_transform(item: Resource, ending: Ending) -> None:
    item.set(
        TransformJobStatus=ending.status,
        TransformEndTime=now(),
        FailureReason=ending.failure_reason,
    )


def _end_tuning(item: Resource, ending: Ending) -> None:
    item.set(
        HyperParameterTuningJobStatus=ending.status,
        HyperParameterTuningEndTime=now(),
        FailureReason=ending.failure_reason,
    )


ENDS: Mapping[str, Callable[[Resource, Ending], None]] = {
    "HyperParameterTuningJob": _end_tuning,
    "ProcessingJob": _end_processing,
    "TrainingJob": _end_training,
    "TransformJob": _end_transform,
}
"""How the members of a kind of job begin -> what is said at its end."""
