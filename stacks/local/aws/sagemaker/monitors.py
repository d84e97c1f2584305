"""Monitoring schedules: at their time they start processing jobs over what an endpoint captured.

Source: SageMaker API reference; developer guide, "Container contract inputs" and "Container
contract outputs" of Model Monitor. AWS's analyzer is played for data and model quality
(`frameworks.analyze`), which merges the ground truth itself where SageMaker runs a job before;
another image needs a row, or the definition names its entrypoint; without either an execution fails
and says so.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud, lifecycles
from stacks.local.aws.sagemaker import monitoring_times as times
from stacks.local.aws.sagemaker.derived import derived, words
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.monitoring_definitions import (
    DEFINITIONS,
    Definition,
    of_inline,
    of_named,
)
from stacks.local.aws.sagemaker.resource_type import Lifecycle, Request, ResourceType
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource
from stacks.local.runtime.frameworks.captured import TRUTH, TRUTHS
from stacks.local.runtime.frameworks.cloudwatch_metrics import (
    ENDPOINT_NAME,
    PUBLISH,
    SCHEDULE_NAME,
)
from stacks.local.runtime.s3_files import TransferFailed, split_uri

Answer = dict[str, Any]
EXECUTION = "monitoring execution"
STATUS = "MonitoringScheduleStatus"
UNDER_WAY = ("Pending", "InProgress", "Stopping")
FOLDERS = {
    "baseline_constraints": "/opt/ml/processing/baseline/constraints",
    "baseline_statistics": "/opt/ml/processing/baseline/stats",
    "record_preprocessor_script": "/opt/ml/processing/code/preprocessor",
    "post_analytics_processor_script": "/opt/ml/processing/code/postprocessor",
}
"""Variable of the container -> folder of the file that it names."""

CONFIG = "/opt/ml/processing/config"
VIOLATIONS = "CompletedWithViolations"
"""How the exit message of a job begins that found some."""

NO_DATA = "Job inputs had no data"


def _create(emulator: Emulator, item: Resource, request: Request) -> None:
    _configure(emulator, item, request)


def _update(emulator: Emulator, item: Resource, request: Request) -> None:
    """What is stopped stays so."""
    _configure(emulator, item, request)
    _pend(item, item.fields[STATUS])


def _pend(item: Resource, then: str) -> None:
    """A change is Pending first (SDK's ModelMonitor waits for it to be over)."""
    lifecycles.begin(item, {STATUS: "Pending"}, {STATUS: then})


def _configure(emulator: Emulator, item: Resource, request: Request) -> None:
    config = request["MonitoringScheduleConfig"]
    times.check(_schedule(config))
    wanted = _definition(emulator, config)
    item.set(
        MonitoringScheduleConfig=config,
        MonitoringType=config.get("MonitoringType", "DataQuality"),
        MonitoringJobDefinitionName=config.get("MonitoringJobDefinitionName"),
        EndpointName=wanted.endpoint,
    )
    item.live = times.next_time(_schedule(config), now())


def _delete(emulator: Emulator, item: Resource, request: Request) -> None:
    """What was run is remembered (DeleteMonitoringSchedule, API reference)."""
    if any(run.fields["MonitoringExecutionStatus"] in UNDER_WAY for run in _runs(emulator, item)):
        raise invalid(f"{item.arn} cannot be deleted while an execution is under way.")


SCHEDULE = derived(
    "MonitoringSchedule",
    filters={"MonitoringTypeEquals": "MonitoringType"},
    ready="",
    on_create=_create,
    on_update=_update,
    on_delete=_delete,
    takes_all=True,
    lifecycle=Lifecycle(creating="Pending", ready="Scheduled"),
)
TYPES = (*DEFINITIONS.values(), SCHEDULE)


def _move(status: str) -> Callable[[Emulator, Request], Answer]:
    def act(emulator: Emulator, request: Request) -> Answer:
        item = crud.get(emulator, SCHEDULE, request["MonitoringScheduleName"])
        _pend(item, status)
        item.live = times.next_time(_schedule(item.fields["MonitoringScheduleConfig"]), now())
        return {}

    return act


EQUAL = {
    "MonitoringScheduleName": "MonitoringScheduleName",
    "EndpointName": "EndpointName",
    "MonitoringJobDefinitionName": "MonitoringJobDefinitionName",
    "MonitoringTypeEquals": "MonitoringType",
    "StatusEquals": "MonitoringExecutionStatus",
}
"""Member of ListMonitoringExecutions -> member of an execution that must be equal to it."""


def _list(emulator: Emulator, request: Request) -> Answer:
    found = [
        item
        for item in emulator.store.all(EXECUTION)
        if all(
            item.fields.get(has) == request[name] for name, has in EQUAL.items() if name in request
        )
        and crud.in_time(item, request)
        and _scheduled_in(item, request)
    ]
    return crud.page("ListMonitoringExecutions", crud.ordered(found, request), request)


def _scheduled_in(item: Resource, request: Request) -> bool:
    moment: datetime = item.fields["ScheduledTime"]
    after, before = (request.get(f"ScheduledTime{word}") for word in ("After", "Before"))
    late_enough = after is None or moment >= crud.as_time(after)
    return late_enough and (before is None or moment <= crud.as_time(before))


OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "ListMonitoringExecutions": _list,
    "StartMonitoringSchedule": _move("Scheduled"),
    "StopMonitoringSchedule": _move("Stopped"),
}


def look(emulator: Emulator, processing: ResourceType) -> None:
    """One round: start what is due, and see how what was started is doing."""
    for item in emulator.store.all(SCHEDULE.name):
        due: datetime | None = item.live
        if item.fields[STATUS] == "Scheduled" and due and due <= now():
            config = _schedule(item.fields["MonitoringScheduleConfig"])
            once = config.get("ScheduleExpression") == times.NOW
            item.live = None if once else times.next_time(config, due)
            _execute(emulator, item, due, processing)
        for run in _runs(emulator, item):
            if run.fields["MonitoringExecutionStatus"] in UNDER_WAY:
                _follow(emulator, run, processing)
                item.fields["LastMonitoringExecutionSummary"] = _summary(run)


def _execute(emulator: Emulator, item: Resource, due: datetime, processing: ResourceType) -> None:
    name = f"model-monitoring-{due:%Y%m%d%H%M}-{crud.made_id()}"
    run = Resource(
        kind=EXECUTION,
        name=name,
        arn=f"{item.arn}/execution/{name}",
        fields={
            "MonitoringScheduleName": item.name,
            "ScheduledTime": due,
            "MonitoringExecutionStatus": "InProgress",
            **{member: item.fields[member] for member in SHARED if member in item.fields},
        },
    )
    try:
        request = _job(emulator, item, due, name)
        with emulator.store.lock:
            arn = crud.create(emulator, processing, request)["ProcessingJobArn"]
            job = crud.get(emulator, processing, name)
            job.set(MonitoringScheduleArn=item.arn)
        run.set(ProcessingJobArn=arn)
    except (ApiError, ClientError, TransferFailed) as error:
        reason = str(getattr(error, "message", error))[:1024]
        run.set(MonitoringExecutionStatus="Failed", FailureReason=reason)
    emulator.store.add(run)
    item.fields["LastMonitoringExecutionSummary"] = _summary(run)


SHARED = ("EndpointName", "MonitoringJobDefinitionName", "MonitoringType")
"""Members that an execution has of its schedule."""


def _follow(emulator: Emulator, run: Resource, processing: ResourceType) -> None:
    """The status of an execution is that of its job, or that the job found violations."""
    job = emulator.store.find(processing.name, run.name)
    if job is None:
        run.set(MonitoringExecutionStatus="Failed", FailureReason="its job was deleted")
        return
    status = job.fields["ProcessingJobStatus"]
    if status == "Completed" and str(job.fields.get("ExitMessage", "")).startswith(VIOLATIONS):
        status = VIOLATIONS
    if status != run.fields["MonitoringExecutionStatus"]:
        reason = job.fields.get("FailureReason")
        run.set(MonitoringExecutionStatus=status, FailureReason=reason)


def _summary(run: Resource) -> dict[str, Any]:
    times_of = {"CreationTime": run.created, "LastModifiedTime": run.modified}
    return {**times_of, **run.fields}


def _runs(emulator: Emulator, item: Resource) -> list[Resource]:
    found = emulator.store.all(EXECUTION)
    return [run for run in found if run.fields["MonitoringScheduleName"] == item.name]


def _schedule(config: Request) -> Request:
    found: Request = config.get("ScheduleConfig", {})
    return found


def _definition(emulator: Emulator, config: Request) -> Definition:
    """The definition that a schedule holds or names; refuses one that is not there."""
    if ("MonitoringJobDefinition" in config) == ("MonitoringJobDefinitionName" in config):
        raise invalid("either MonitoringJobDefinition or MonitoringJobDefinitionName is needed")
    if "MonitoringJobDefinition" in config:
        return of_inline(config["MonitoringJobDefinition"])
    if "MonitoringType" not in config:
        raise invalid("MonitoringJobDefinitionName needs MonitoringType")
    kind = DEFINITIONS[config["MonitoringType"]]
    item = crud.get(emulator, kind, config["MonitoringJobDefinitionName"])
    return of_named(config["MonitoringType"], item.fields)


# The job of one execution


def _job(emulator: Emulator, item: Resource, due: datetime, name: str) -> dict[str, Any]:
    """CreateProcessingJob of one execution."""
    config = item.fields["MonitoringScheduleConfig"]
    told = _definition(emulator, config)
    start, end = times.earlier(times.window(_schedule(config), due), told.offsets)
    files = [*_data(emulator, told, start, end)]
    if not files:
        raise invalid(NO_DATA)
    files += [(uri, FOLDERS[name]) for name, uri in told.files.items()]
    extra = {TRUTHS: told.ground_truth, CONFIG: told.config}
    files += [(uri, path) for path, uri in extra.items() if uri]
    (output,) = told.outputs
    return {
        "ProcessingJobName": name,
        "RoleArn": told.role,
        "AppSpecification": told.application,
        "ProcessingInputs": [_input(n, uri, path) for n, (uri, path) in enumerate(files)],
        "ProcessingOutputConfig": {"Outputs": [_output(item, output, due)]},
        "ProcessingResources": {"ClusterConfig": told.cluster},
        "Environment": {
            PUBLISH: "Enabled",
            **told.environment,
            **_contract(item, told, start, end),
        },
        **told.rest,
    }


def _data(
    emulator: Emulator, told: Definition, start: datetime, end: datetime
) -> Iterable[tuple[str, str]]:
    """What was captured in the window, hour by hour, and where the job finds it."""
    if told.endpoint is None:
        yield told.data, told.local_path
        return
    endpoint = emulator.store.find("endpoint", told.endpoint)
    if endpoint is None or endpoint.live.fleet is None:
        raise invalid(f"Could not find endpoint {told.endpoint!r}.")
    fleet = endpoint.live.fleet
    if "DataCaptureConfig" not in fleet.config:
        raise invalid(f"Endpoint {told.endpoint!r} captures no data.")
    base = fleet.config["DataCaptureConfig"]["DestinationS3Uri"].rstrip("/")
    for variant in fleet.variants:
        for hour in times.hours_between(start, end):
            place = f"{told.endpoint}/{variant}/{hour:%Y/%m/%d/%H}"
            bucket, prefix = split_uri(f"{base}/{place}/")
            if emulator.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"]:
                yield f"{base}/{place}", f"{told.local_path}/{place}"


def _contract(item: Resource, told: Definition, start: datetime, end: datetime) -> dict[str, str]:
    """What a container is told (developer guide, "Container contract inputs").

    `analysis_type` is what the SDK tells AWS's analyzer, so that it refuses what it does not do.
    """
    both = ["endpointInput", "endpointOutput"]
    form = "sagemakerMergeJson" if told.ground_truth else "sagemakerCaptureJson"
    captured = {form: {"captureIndexNames": both}}
    kind = captured if told.endpoint else told.dataset_format
    truth = {"ground_truth_attribute": TRUTH} if told.ground_truth else {}
    endpoint = {ENDPOINT_NAME: told.endpoint} if told.endpoint else {}
    return {
        "analysis_type": words(item.fields["MonitoringType"]).replace(" ", "_").upper(),
        "dataset_format": json.dumps(kind),
        "dataset_source": told.local_path,
        "start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "output_path": told.outputs[0]["LocalPath"],
        SCHEDULE_NAME: item.name,
        **endpoint,
        **told.told,
        **truth,
        **{n: f"{FOLDERS[n]}/{uri.rpartition('/')[2]}" for n, uri in told.files.items()},
    }


def _input(number: int, uri: str, path: str) -> dict[str, Any]:
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": f"input_{number}", "S3Input": source}


def _output(item: Resource, output: Mapping[str, str], due: datetime) -> dict[str, Any]:
    """Results lie below endpoint, schedule and hour, as those of SageMaker do."""
    place = "/".join((item.fields.get("EndpointName", ""), item.name)).strip("/")
    uri = f"{output['S3Uri'].rstrip('/')}/{place}/{due:%Y/%m/%d/%H}"
    told = {"S3Uri": uri, "LocalPath": output["LocalPath"], "S3UploadMode": "EndOfJob"}
    return {"OutputName": "result", "S3Output": told}
