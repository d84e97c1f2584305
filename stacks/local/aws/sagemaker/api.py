"""The control plane: an operation's name and request in, its answer out."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import (
    account_network,
    callbacks,
    cards,
    components,
    crud,
    executions,
    experiments,
    features,
    hub_contents,
    image_versions,
    jobs,
    lifecycles,
    lineage,
    lineage_query,
    mlflow_app,
    monitors,
    notebooks,
    packages,
    pipelines,
    projects,
    search,
)
from stacks.local.aws.sagemaker.accepted import check_fields
from stacks.local.aws.sagemaker.allowed_states import ALLOWED, SERVING
from stacks.local.aws.sagemaker.allowed_states import check as check_state
from stacks.local.aws.sagemaker.endpoints import check_variants, update_weights
from stacks.local.aws.sagemaker.errors import ApiError, invalid, not_emulated
from stacks.local.aws.sagemaker.recorded_operations import RECORDED_OPERATIONS
from stacks.local.aws.sagemaker.refused_operations import reason
from stacks.local.aws.sagemaker.resource_type import Request, ResourceType
from stacks.local.aws.sagemaker.resource_types import BY_NAME, LIVING, RESOURCE_TYPES
from stacks.local.aws.sagemaker.shapes import check_request, operation_names
from stacks.local.aws.sagemaker.tuning import summaries

TAGS_PAGE = 50
"""Tags on a page of ListTags, which is asked for no fewer (API reference: MaxResults)."""

TAGS_LIMIT = 50
"""Tags of a resource (AWS General Reference, "Tag naming limits and requirements")."""

Answer = dict[str, Any]
Operation = Callable[[Emulator, Request], Answer]


def call(emulator: Emulator, operation: str, request: Request) -> Answer:
    """Answer one request, or raise ApiError."""
    if operation not in operation_names():
        raise ApiError("UnknownOperationException", f"SageMaker has no operation {operation!r}")
    act = OPERATIONS.get(operation)
    if act is None:
        raise not_emulated(f"sagemaker:{operation}", reason(operation))
    check_request(operation, request)
    check_fields(operation, request)
    account_network.check(emulator, operation, request)
    settle(emulator)
    with emulator.store.lock if operation in ALLOWED else contextlib.nullcontext():
        check_state(emulator, operation, request)
        return act(emulator, request)


def settle(emulator: Emulator, at: datetime | None = None) -> None:
    """Bring what moves by the clock where it is at a time. Default: now."""
    lifecycles.settle(emulator, LIVING, at)
    projects.look(emulator)


def _stop(stem: str, kind: str) -> Operation:
    def act(emulator: Emulator, request: Request) -> Answer:
        item = crud.get(emulator, BY_NAME[kind], request[f"{stem}Name"])
        jobs.stop_job(emulator, item, stem)
        return {}

    return act


def _update_weights(emulator: Emulator, request: Request) -> Answer:
    with emulator.store.lock:
        item = crud.get(emulator, BY_NAME["endpoint"], request["EndpointName"])
        check_variants(emulator, item, request["DesiredWeightsAndCapacities"])
        SERVING.check(emulator, request)
        update_weights(emulator, item, request)
    return {"EndpointArn": item.arn}


def _create_package(emulator: Emulator, request: Request) -> Answer:
    return packages.create_package(emulator, BY_NAME[packages.PACKAGE], request)


def _create_card(emulator: Emulator, request: Request) -> Answer:
    cards.check(request["Content"])
    return crud.create(emulator, BY_NAME[cards.CARD], request)


def _update_card(emulator: Emulator, request: Request) -> Answer:
    if "Content" in request:
        cards.check(request["Content"])
    return crud.update(emulator, BY_NAME[cards.CARD], request)


def _list_packages(emulator: Emulator, request: Request) -> Answer:
    asked = {**request, "ModelPackageType": packages.list_type(request)}
    return crud.listing(emulator, BY_NAME[packages.PACKAGE], asked)


def _list_tuning_jobs(emulator: Emulator, request: Request) -> Answer:
    """By name, where nothing else is asked for (ListHyperParameterTuningJobs, API reference)."""
    return crud.listing(emulator, BY_NAME[summaries.KIND], {"SortBy": "Name", **request})


def _add_tags(emulator: Emulator, request: Request) -> Answer:
    arn = _tagged(emulator, request)
    crud.check_tags(request["Tags"])
    keys = emulator.store.tags.get(arn, {}).keys() | {tag["Key"] for tag in request["Tags"]}
    if len(keys) > TAGS_LIMIT:
        raise invalid(f"{arn} can have at most {TAGS_LIMIT} tags, got {len(keys)}")
    crud.tag(emulator, arn, request["Tags"])
    return {"Tags": _tags(emulator, arn)}


def _list_tags(emulator: Emulator, request: Request) -> Answer:
    tags = _tags(emulator, _tagged(emulator, request))
    return crud.paged("Tags", tags, {"MaxResults": TAGS_PAGE, **request})


def _delete_tags(emulator: Emulator, request: Request) -> Answer:
    tags = emulator.store.tags.get(_tagged(emulator, request), {})
    for key in request["TagKeys"]:
        tags.pop(key, None)
    return {}


def _tagged(emulator: Emulator, request: Request) -> str:
    arn: str = request["ResourceArn"]
    if emulator.store.by_arn(arn) is None:
        raise invalid(f"The resource {arn} does not exist.")
    return arn


def _tags(emulator: Emulator, arn: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in emulator.store.tags.get(arn, {}).items()]


def _of_table() -> dict[str, Operation]:
    operations: dict[str, Operation] = {}
    for kind in RESOURCE_TYPES:
        for name, act in (
            (kind.create, crud.create),
            (kind.describe, crud.describe),
            (kind.list, crud.listing),
            (kind.update, crud.update),
            (kind.delete, crud.delete),
        ):
            if name:
                operations[name] = _bind(act, kind)
    return operations


def _bind(
    act: Callable[[Emulator, ResourceType, Request], Answer], kind: ResourceType
) -> Operation:
    return lambda emulator, request: act(emulator, kind, request)


OPERATIONS: Mapping[str, Operation] = {
    **_of_table(),
    **RECORDED_OPERATIONS,
    **components.OPERATIONS,
    **experiments.OPERATIONS,
    **features.METADATA,
    **hub_contents.OPERATIONS,
    **image_versions.OPERATIONS,
    **lineage.OPERATIONS,
    **mlflow_app.OPERATIONS,
    **monitors.OPERATIONS,
    **notebooks.OPERATIONS,
    **projects.OPERATIONS,
    "AddTags": _add_tags,
    "BatchDescribeModelPackage": search.batch_describe_packages,
    "CreateModelCard": _create_card,
    "CreateModelPackage": _create_package,
    "DeleteModelPackageGroupPolicy": packages.delete_policy,
    "DeleteTags": _delete_tags,
    "DescribeModelCard": cards.describe_card,
    "DescribePipeline": pipelines.describe_pipeline,
    "DescribePipelineDefinitionForExecution": executions.describe_definition,
    "DescribePipelineExecution": executions.describe_execution,
    "GetModelPackageGroupPolicy": packages.get_policy,
    "GetSearchSuggestions": search.suggestions,
    "ListModelCardVersions": cards.list_versions,
    "ListModelPackages": _list_packages,
    "ListPipelineExecutionSteps": executions.list_steps,
    "ListPipelineExecutions": executions.list_executions,
    "ListPipelineParametersForExecution": executions.list_parameters,
    "ListPipelineVersions": pipelines.list_versions,
    "ListHyperParameterTuningJobs": _list_tuning_jobs,
    "ListTags": _list_tags,
    "ListTrainingJobsForHyperParameterTuningJob": summaries.list_training_jobs,
    "PutModelPackageGroupPolicy": packages.put_policy,
    "RetryPipelineExecution": executions.retry_execution,
    "Search": search.search,
    "SendPipelineExecutionStepFailure": callbacks.fail,
    "SendPipelineExecutionStepSuccess": callbacks.succeed,
    "StartPipelineExecution": executions.start_execution,
    "StopPipelineExecution": executions.stop_execution,
    "QueryLineage": lineage_query.query,
    "StopHyperParameterTuningJob": _stop("HyperParameterTuningJob", summaries.KIND),
    "StopProcessingJob": _stop("ProcessingJob", "processing job"),
    "StopTrainingJob": _stop("TrainingJob", "training job"),
    "StopTransformJob": _stop("TransformJob", "transform job"),
    "UpdateEndpointWeightsAndCapacities": _update_weights,
    "UpdateModelCard": _update_card,
    "UpdatePipelineExecution": executions.update_execution,
    "UpdatePipelineVersion": pipelines.update_version,
}
"""Everything the emulator answers."""
