"""Pipelines as resources, and their executions: each a thread of the pipeline executor.

An execution is the definition it started with: a later update of the pipeline does not touch it.
"""

import json
import secrets
import string
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import in_time, ordered, paged
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource
from stacks.local.runtime.s3_files import TransferFailed, split_uri

PIPELINE, EXECUTION = "pipeline", "pipeline execution"
MISSING = Missing(code="ResourceNotFound", text="Pipeline '{arn}' does not exist.")
MISSING_EXECUTION = Missing(
    code="ResourceNotFound", text="Pipeline execution with ARN {arn} does not exist."
)
RUNNING = ("Executing", "Stopping")


@dataclass(kw_only=True, eq=False)
class Run:
    """What is live behind an execution."""

    definition: str
    parameters: Mapping[str, str]
    token: str
    stopping: threading.Event = field(default_factory=threading.Event)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Step name -> its PipelineExecutionStep, in order of first appearance."""


def create_pipeline(emulator: Emulator, item: Resource, request: Request) -> None:
    """Take a definition that the executor can run; refuse any other with all its problems."""
    definition = _definition(emulator, request)
    item.fields.pop("PipelineDefinitionS3Location", None)
    item.set(PipelineDefinition=definition, PipelineStatus="Active")
    item.fields.setdefault("PipelineDisplayName", item.name)
    item.live = 1  # the version


def update_pipeline(emulator: Emulator, item: Resource, request: Request) -> None:
    """Replace what the request names; running executions keep their definition."""
    changes = {
        name: request[name]
        for name in ("PipelineDisplayName", "PipelineDescription", "RoleArn")
        if name in request
    }
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        changes["PipelineDefinition"] = _definition(emulator, request)
    if "ParallelismConfiguration" in request:
        changes["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    item.live += 1
    item.set(**changes, PipelineVersionId=item.live)


def delete_pipeline(emulator: Emulator, item: Resource, request: Request) -> None:
    """A pipeline with a running execution cannot be deleted; its history goes with it."""
    executions = _executions(emulator, item)
    busy = [e.arn for e in executions if e.fields["PipelineExecutionStatus"] in RUNNING]
    if busy:
        raise ApiError(
            "ConflictException",
            f"Pipeline '{item.arn}' has running executions: {', '.join(busy)}",
        )
    for execution in executions:
        emulator.store.remove(execution)


def start_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        pipeline = _pipeline(emulator, request["PipelineName"])
        token = request.get("ClientRequestToken", "")
        for known in _executions(emulator, pipeline):
            if token and known.live.token == token:
                return {"PipelineExecutionArn": known.arn}
        definition: dict[str, Any] = json.loads(pipeline.fields["PipelineDefinition"])
        parallelism = request.get(
            "ParallelismConfiguration", pipeline.fields.get("ParallelismConfiguration")
        )
        parameters = _parameters(definition, request.get("PipelineParameters", []))
        alphabet = string.ascii_lowercase + string.digits
        identity = "".join(secrets.choice(alphabet) for _ in range(12))
        name = f"{pipeline.name}/execution/{identity}"
        item = Resource(
            kind=EXECUTION,
            name=name,
            arn=f"{pipeline.arn}/execution/{identity}",
            fields={
                "PipelineArn": pipeline.arn,
                "PipelineExecutionStatus": "Executing",
                "PipelineExecutionDisplayName": request.get(
                    "PipelineExecutionDisplayName", f"execution-{identity}"
                ),
                "RoleArn": request.get("RoleArn", pipeline.fields["RoleArn"]),
            },
            live=Run(
                definition=pipeline.fields["PipelineDefinition"], parameters=parameters, token=token
            ),
        )
        item.fields["PipelineExecutionArn"] = item.arn
        item.set(
            PipelineExecutionDescription=request.get("PipelineExecutionDescription"),
            ParallelismConfiguration=parallelism,
        )
        emulator.store.add(item)
        pipeline.fields["LastExecutionTime"] = pipeline.fields["LastRunTime"] = item.created
    _run(emulator, pipeline, item, definition)
    return {"PipelineExecutionArn": item.arn}


def stop_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        item = _execution(emulator, request)
        status = item.fields["PipelineExecutionStatus"]
        if status not in RUNNING:
            raise invalid(f"Pipeline execution {item.arn} in status {status} cannot be stopped.")
        item.set(PipelineExecutionStatus="Stopping")
    item.live.stopping.set()
    return {"PipelineExecutionArn": item.arn}


def describe_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    item = _execution(emulator, request)
    with emulator.store.lock:
        times = {"CreationTime": item.created, "LastModifiedTime": item.modified}
        return {**item.fields, **times, "CreatedBy": {}, "LastModifiedBy": {}}


def describe_definition(emulator: Emulator, request: Request) -> dict[str, Any]:
    item = _execution(emulator, request)
    return {"PipelineDefinition": item.live.definition, "CreationTime": item.created}


def list_executions(emulator: Emulator, request: Request) -> dict[str, Any]:
    pipeline = _pipeline(emulator, request["PipelineName"])
    found = [item for item in _executions(emulator, pipeline) if in_time(item, request)]
    rows = [_summary(item) for item in ordered(found, request)]
    return paged("PipelineExecutionSummaries", rows, request)


def list_steps(emulator: Emulator, request: Request) -> dict[str, Any]:
    item = _execution(emulator, request)
    with emulator.store.lock:
        rows = [dict(step) for step in item.live.steps.values()]
    if request.get("SortOrder", "Descending") == "Descending":  # newest first, as SageMaker
        rows.reverse()
    return paged("PipelineExecutionSteps", rows, request)


def list_parameters(emulator: Emulator, request: Request) -> dict[str, Any]:
    given = _execution(emulator, request).live.parameters
    rows = [{"Name": name, "Value": value} for name, value in given.items()]
    return paged("PipelineParameters", rows, request)


def _run(
    emulator: Emulator, pipeline: Resource, item: Resource, definition: Mapping[str, Any]
) -> None:
    """Hand the execution to the executor, in a thread."""
    from pipelines.executor import model, run

    live: Run = item.live
    parallelism = item.fields.get("ParallelismConfiguration", {})
    execution = model.Execution(
        pipeline_name=pipeline.name,
        pipeline_arn=pipeline.arn,
        execution_id=item.name.rpartition("/")[2],
        execution_arn=item.arn,
        start_time=item.created,
    )

    def observe(state: Any) -> None:
        with emulator.store.lock:
            live.steps[state.name] = _step(state)
            item.modified = now()

    def work() -> None:
        acting = emulator.act(item.fields["RoleArn"], item.arn)
        outcome = run.run(
            definition,
            parameters=live.parameters,
            execution=execution,
            sagemaker=acting.client("sagemaker"),
            s3=acting.s3,
            observe=observe,
            stopping=live.stopping.is_set,
            max_parallel_steps=parallelism.get("MaxParallelExecutionSteps"),
        )
        item.set(
            PipelineExecutionStatus=outcome.status, FailureReason=outcome.failure_reason or None
        )

    def broken(error: BaseException) -> None:
        reason = f"InternalServerError: {error!r}"
        item.set(PipelineExecutionStatus="Failed", FailureReason=reason)

    emulator.background(work, broken=broken)


def _step(state: Any) -> dict[str, Any]:
    members = {
        "StepName": state.name,
        "StepDisplayName": state.display_name or state.name,
        "StepStatus": state.status,
        "StartTime": state.start_time,
        "EndTime": state.end_time,
        "FailureReason": state.failure_reason,
        "Metadata": state.metadata,
        "AttemptCount": state.attempt,
    }
    return {name: value for name, value in members.items() if value}


def _summary(item: Resource) -> dict[str, Any]:
    names = (
        "PipelineExecutionArn",
        "PipelineExecutionStatus",
        "PipelineExecutionDescription",
        "PipelineExecutionDisplayName",
    )
    shown = {name: item.fields[name] for name in names if name in item.fields}
    reason = item.fields.get("FailureReason")
    return {
        **shown,
        "StartTime": item.created,
        **({"PipelineExecutionFailureReason": reason} if reason else {}),
    }


def _definition(emulator: Emulator, request: Request) -> str:
    """The definition's text, from the request or from S3, once it was found to be runnable."""
    from pipelines.executor import plan

    place = request.get("PipelineDefinitionS3Location")
    if (place is None) == ("PipelineDefinition" not in request):
        raise invalid("give either PipelineDefinition or PipelineDefinitionS3Location")
    text = request["PipelineDefinition"] if place is None else _fetch(emulator, place)
    try:
        definition = json.loads(text)
    except ValueError as error:
        raise invalid(f"Invalid pipeline definition: it is not JSON: {error}") from error
    if not isinstance(definition, dict):
        raise invalid("Invalid pipeline definition: it must be a JSON object")
    problems = plan.validate(definition)
    if problems:
        raise invalid(f"Invalid pipeline definition: {'; '.join(problems)}")
    return str(text)


def _fetch(emulator: Emulator, place: Mapping[str, str]) -> str:
    uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
    version = {"VersionId": place["VersionId"]} if "VersionId" in place else {}
    try:
        bucket, key = split_uri(uri)
        body = emulator.s3.get_object(Bucket=bucket, Key=key, **version)["Body"].read()
    except (TransferFailed, emulator.s3.exceptions.ClientError) as error:
        raise invalid(f"the pipeline definition at {uri} cannot be read: {error}") from error
    return str(body.decode())


def _parameters(
    definition: Mapping[str, Any], given: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    """The values of this execution, each fit for the type its definition declares."""
    from pipelines.executor import parameters as executor_parameters

    values = {parameter["Name"]: parameter["Value"] for parameter in given}
    problems = executor_parameters.check(definition, values)
    if problems:
        raise invalid(f"Invalid pipeline parameters: {'; '.join(problems)}")
    return values


def _pipeline(emulator: Emulator, name_or_arn: str) -> Resource:
    name = short_name(name_or_arn)
    item = emulator.store.find(PIPELINE, name)
    if item is None:
        raise MISSING.error(name=name, arn=emulator.arn(f"pipeline/{name}"))
    return item


def _execution(emulator: Emulator, request: Request) -> Resource:
    arn = request["PipelineExecutionArn"]
    item = emulator.store.find(EXECUTION, short_name(arn))
    if item is None:
        raise MISSING_EXECUTION.error(arn=arn)
    return item


def _executions(emulator: Emulator, pipeline: Resource) -> list[Resource]:
    return [e for e in emulator.store.all(EXECUTION) if e.fields["PipelineArn"] == pipeline.arn]
