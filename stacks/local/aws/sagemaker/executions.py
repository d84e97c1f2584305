"""Executions of pipelines: each a thread of the pipeline executor.

An execution is the definition it started with: a later update of the pipeline does not touch it.
"""

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.executor.grammar import text_of
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import runs
from stacks.local.aws.sagemaker.crud import in_time, ordered, paged
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.pipelines import (
    EXECUTION,
    RUNNING,
    executions_of,
    find_pipeline,
    find_version,
)
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource

MISSING = Missing(code="ResourceNotFound", text="Pipeline execution with ARN {arn} does not exist.")


def start_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    """StartPipelineExecution: of the newest version, or of the one that is asked for."""
    with emulator.store.lock:
        pipeline = find_pipeline(emulator, request["PipelineName"])
        token = request.get("ClientRequestToken", "")
        for known in executions_of(emulator, pipeline):
            if token and known.live.token == token:
                return {"PipelineExecutionArn": known.arn}
        version = find_version(pipeline, request)
        definition: dict[str, Any] = json.loads(version.live)
        live = runs.Run(
            definition=version.live,
            parameters=_parameters(definition, request.get("PipelineParameters", [])),
            token=token,
        )
        selective = request.get("SelectiveExecutionConfig")
        if selective is not None:
            _select(emulator, pipeline, definition, live, selective)
        item = _new(pipeline, request, live)
        item.set(
            PipelineVersionId=version.fields["PipelineVersionId"],
            SelectiveExecutionConfig=selective,
        )
        emulator.store.add(item)
        version.set(LastExecutionPipelineExecutionArn=item.arn)
        pipeline.fields["LastExecutionTime"] = pipeline.fields["LastRunTime"] = item.created
    runs.launch(emulator, pipeline, item)
    return {"PipelineExecutionArn": item.arn}


def _new(pipeline: Resource, request: Request, live: runs.Run) -> Resource:
    alphabet = string.ascii_lowercase + string.digits
    identity = "".join(secrets.choice(alphabet) for _ in range(12))
    name = request.get("PipelineExecutionDisplayName", f"execution-{identity}")
    item = Resource(
        kind=EXECUTION,
        name=f"{pipeline.name}/execution/{identity}",
        arn=f"{pipeline.arn}/execution/{identity}",
        fields={
            "PipelineArn": pipeline.arn,
            "PipelineExecutionStatus": "Executing",
            "PipelineExecutionDisplayName": name,
            "RoleArn": request.get("RoleArn", pipeline.fields["RoleArn"]),
        },
        live=live,
    )
    item.set(
        PipelineExecutionArn=item.arn,
        PipelineExecutionDescription=request.get("PipelineExecutionDescription"),
        ParallelismConfiguration=request.get(
            "ParallelismConfiguration", pipeline.fields.get("ParallelismConfiguration")
        ),
    )
    return item


def _select(
    emulator: Emulator,
    pipeline: Resource,
    definition: Mapping[str, Any],
    live: runs.Run,
    config: Mapping[str, Any],
) -> None:
    """Let only selected steps run, on the results of another execution."""
    from pipelines.executor import selection

    selected = [step["StepName"] for step in config["SelectedSteps"]]
    arn = config.get("SourcePipelineExecutionArn")
    source: runs.Run | None = _source(emulator, pipeline, arn).live if arn else None
    problem = selection.problem(definition, selected, arn, source.results if source else ())
    if problem:
        raise invalid(problem)
    live.selected = frozenset(selected)
    if source is not None:
        for name in selection.needed(definition, selected):
            live.reuse(name, source, str(arn))


def _source(emulator: Emulator, pipeline: Resource, arn: str) -> Resource:
    """A reference execution: of the same pipeline, and over."""
    item = emulator.store.find(EXECUTION, short_name(arn))
    if item is None or item.fields["PipelineArn"] != pipeline.arn:
        raise invalid(f"Invalid SourcePipelineExecutionArn: {arn}. It is none of {pipeline.arn}")
    status = item.fields["PipelineExecutionStatus"]
    if status in RUNNING:
        raise invalid(f"Invalid SourcePipelineExecutionArn: {arn}. It is {status}")
    return item


def retry_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    """RetryPipelineExecution: run the steps that did not succeed once more, in the same execution.

    The steps that succeeded keep their results, children of a ForEach step too.
    """
    with emulator.store.lock:
        item = _execution(emulator, request)
        live: runs.Run = item.live
        token = request.get("ClientRequestToken", "")
        if token and token == live.retry_token:
            return {"PipelineExecutionArn": item.arn}
        status = item.fields["PipelineExecutionStatus"]
        if status not in ("Failed", "Stopped"):
            told = "only a Failed or Stopped one can be retried"
            raise ApiError(
                "ConflictException", f"Pipeline execution {item.arn} is {status}: {told}"
            )
        if any("Fail" in step.get("Metadata", {}) for step in live.steps.values()):
            told = "one that ended with a Fail step cannot be retried"
            raise ApiError("ConflictException", f"Pipeline execution {item.arn}: {told}")
        live.again(token)
        item.set(PipelineExecutionStatus="Executing", FailureReason=None)
        if "ParallelismConfiguration" in request:
            item.set(ParallelismConfiguration=request["ParallelismConfiguration"])
        pipeline = find_pipeline(emulator, item.fields["PipelineArn"])
    runs.launch(emulator, pipeline, item)
    return {"PipelineExecutionArn": item.arn}


def update_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    """UpdatePipelineExecution: names, and how many steps may run at once from now on."""
    names = (
        "PipelineExecutionDescription",
        "PipelineExecutionDisplayName",
        "ParallelismConfiguration",
    )
    with emulator.store.lock:
        item = _execution(emulator, request)
        item.set(**{name: request[name] for name in names if name in request})
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
    pipeline = find_pipeline(emulator, request["PipelineName"])
    found = [item for item in executions_of(emulator, pipeline) if in_time(item, request)]
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
    """ListPipelineParametersForExecution: every parameter, with its default if none was given."""
    from pipelines.executor import parameters

    live: runs.Run = _execution(emulator, request).live
    declared, _ = parameters.read(json.loads(live.definition).get("Parameters", []))
    values = parameters.values(declared.values(), live.parameters)
    rows = [
        {"Name": name, "Value": live.parameters.get(name, text_of(value))}
        for name, value in values.items()
    ]
    return paged("PipelineParameters", rows, request)


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


def _execution(emulator: Emulator, request: Request) -> Resource:
    arn = request["PipelineExecutionArn"]
    item = emulator.store.find(EXECUTION, short_name(arn))
    if item is None:
        raise MISSING.error(arn=arn)
    return item
