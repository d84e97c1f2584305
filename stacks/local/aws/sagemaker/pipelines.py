"""Pipelines as resources: each a definition that the executor can run."""

import json
from collections.abc import Mapping

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource
from stacks.local.runtime.s3_files import TransferFailed, split_uri

PIPELINE, EXECUTION = "pipeline", "pipeline execution"
MISSING = Missing(code="ResourceNotFound", text="Pipeline '{arn}' does not exist.")
RUNNING = ("Executing", "Stopping")


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
    name = short_name(name_or_arn)
    item = emulator.store.find(PIPELINE, name)
    if item is None:
        raise MISSING.error(name=name, arn=emulator.arn(f"pipeline/{name}"))
    return item


def executions_of(emulator: Emulator, pipeline: Resource) -> list[Resource]:
    return [e for e in emulator.store.all(EXECUTION) if e.fields["PipelineArn"] == pipeline.arn]
