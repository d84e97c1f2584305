"""Executions of pipelines: each a thread of the pipeline executor.

An execution is the definition it started with: a later update of the pipeline does not touch it.
"""

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import runs
from stacks.local.aws.sagemaker.crud import in_time, ordered, paged
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.pipelines import EXECUTION, RUNNING, executions_of, find_pipeline
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource

MISSING = Missing(code="ResourceNotFound", text="Pipeline execution with ARN {arn} does not exist.")


def start_execution(emulator: Emulator, request: Request) -> dict[str, Any]:
    with emulator.store.lock:
        pipeline = find_pipeline(emulator, request["PipelineName"])
        token = request.get("ClientRequestToken", "")
        for known in executions_of(emulator, pipeline):
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
            live=runs.Run(
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
    runs.launch(emulator, pipeline, item)
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
    given = _execution(emulator, request).live.parameters
    rows = [{"Name": name, "Value": value} for name, value in given.items()]
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
