"""Pipelines as resources: each a definition that the executor can run."""

import json
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import answer, in_time, paged
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource
from stacks.local.runtime.s3_files import TransferFailed, split_uri

PIPELINE, EXECUTION = "pipeline", "pipeline execution"
MISSING = Missing(code="ResourceNotFound", text="Pipeline '{arn}' does not exist.")
MISSING_VERSION = Missing(
    code="ResourceNotFound", text="Version {name} of pipeline '{arn}' does not exist."
)
RUNNING = ("Executing", "Stopping")

DESCRIBED = ("PipelineVersionDisplayName", "PipelineVersionDescription")
"""What people say of a version."""


def create_pipeline(emulator: Emulator, item: Resource, request: Request) -> None:
    """Take a definition that the executor can run; refuse any other with all its problems."""
    definition = _definition(emulator, request)
    item.fields.pop("PipelineDefinitionS3Location", None)
    item.set(PipelineDefinition=definition, PipelineStatus="Active")
    item.fields.setdefault("PipelineDisplayName", item.name)
    item.live = [_version(item, 1, definition)]


def update_pipeline(emulator: Emulator, item: Resource, request: Request) -> None:
    """Replace what the request names by a new version; running executions keep theirs."""
    changes = {
        name: request[name]
        for name in ("PipelineDisplayName", "PipelineDescription", "RoleArn")
        if name in request
    }
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        changes["PipelineDefinition"] = _definition(emulator, request)
    if "ParallelismConfiguration" in request:
        changes["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    number = len(item.live) + 1
    item.set(**changes, PipelineVersionId=number)
    item.live.append(_version(item, number, item.fields["PipelineDefinition"]))


def _version(pipeline: Resource, number: int, definition: str) -> Resource:
    """A pipeline as one create or update left it; its members are those of its summary."""
    members = {"PipelineArn": pipeline.arn, "PipelineVersionId": number}
    return Resource(
        kind="pipeline version",
        name=str(number),
        arn=pipeline.arn,
        fields=members,
        live=definition,
        created=pipeline.modified,
    )


def describe_pipeline(emulator: Emulator, request: Request) -> dict[str, Any]:
    """DescribePipeline: the newest version, or the one that is asked for."""
    with emulator.store.lock:
        item = find_pipeline(emulator, request["PipelineName"])
        version = find_version(item, request)
        texts = {key: version.fields[key] for key in DESCRIBED if key in version.fields}
        shown = answer("DescribePipeline", item)
        return {**shown, "PipelineDefinition": version.live, **texts}


def list_versions(emulator: Emulator, request: Request) -> dict[str, Any]:
    """ListPipelineVersions, newest first unless asked otherwise."""
    with emulator.store.lock:
        found: list[Resource] = find_pipeline(emulator, request["PipelineName"]).live
        rows = [
            {**version.fields, "CreationTime": version.created}
            for version in found
            if in_time(version, request)
        ]
    if request.get("SortOrder", "Descending") == "Descending":
        rows.reverse()
    return paged("PipelineVersionSummaries", rows, request)


def update_version(emulator: Emulator, request: Request) -> dict[str, Any]:
    """UpdatePipelineVersion: its name and description."""
    with emulator.store.lock:
        version = find_version(find_pipeline(emulator, request["PipelineArn"]), request)
        version.set(**{key: request[key] for key in DESCRIBED if key in request})
        return {name: version.fields[name] for name in ("PipelineArn", "PipelineVersionId")}


def find_version(pipeline: Resource, request: Request) -> Resource:
    """The version that a request names, or the newest."""
    number = request.get("PipelineVersionId", len(pipeline.live))
    if number > len(pipeline.live):
        raise MISSING_VERSION.error(arn=pipeline.arn, name=str(number))
    found: Resource = pipeline.live[number - 1]
    return found


def delete_pipeline(emulator: Emulator, item: Resource, request: Request) -> None:
    """A pipeline with a running execution cannot be deleted; its history goes with it."""
    executions = executions_of(emulator, item)
    busy = [e.arn for e in executions if e.fields["PipelineExecutionStatus"] in RUNNING]
    if busy:
        raise ApiError(
            "ConflictException",
            f"Pipeline '{item.arn}' has running executions: {', '.join(busy)}",
        )
    for execution in executions:
        emulator.store.remove(execution)


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


def find_pipeline(emulator: Emulator, name_or_arn: str) -> Resource:
    """The pipeline, or SageMaker's own answer for a missing one."""
    name = short_name(name_or_arn)
    item = emulator.store.find(PIPELINE, name)
    if item is None:
        raise MISSING.error(name=name, arn=emulator.arn(f"pipeline/{name}"))
    return item


def executions_of(emulator: Emulator, pipeline: Resource) -> list[Resource]:
    """Every execution of a pipeline, the oldest first."""
    return [e for e in emulator.store.all(EXECUTION) if e.fields["PipelineArn"] == pipeline.arn]
