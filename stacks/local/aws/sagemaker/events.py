"""What changes in SageMaker, as the events that it sends to EventBridge.

Source: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import shown
from stacks.local.aws.sagemaker.resource_types import BY_NAME
from stacks.local.aws.sagemaker.shapes import output_members
from stacks.local.aws.store import Resource

SOURCE = "aws.sagemaker"
EXECUTION = "pipeline execution"
PACKAGE = "model package"
STEP = "SageMaker Model Building Pipeline Execution Step Status Change"

FIELDS = (
    "ModelApprovalStatus", "ModelLifeCycle", "ApprovalDescription", "SourceUri",
    "CustomerMetadataProperties", "InferenceSpecification",
)  # fmt: skip
"""Members of a model package whose change is an event, as UpdatedModelPackageFields names them."""

Change = tuple[str, list[str], dict[str, Any]]
"""Detail type, resources and detail of an event."""

Same = Callable[[str, str], bool]
"""Whether the state of a key is known already; from now on it is."""


@dataclass(frozen=True)
class Watched:
    """A state of a kind of SageMaker resource whose change is an event."""

    kind: str
    status: str
    """Member of the describe answer."""

    detail_type: str
    members: Mapping[str, str] = field(default_factory=dict)
    """Member of the event -> of the describe answer. Default: the event shows what the describe
    answer shows."""


WATCHED = (
    Watched("endpoint", "EndpointStatus", "SageMaker Endpoint State Change"),
    Watched("feature group", "FeatureGroupStatus", "SageMaker Feature Group State Change"),
    Watched(
        "image",
        "ImageStatus",
        "SageMaker Image State Change",
        {name: name for name in ("ImageName", "ImageArn", "ImageStatus")},
    ),
    Watched(
        "image version",
        "ImageVersionStatus",
        "SageMaker Image Version State Change",
        {name: name for name in ("ImageArn", "ImageVersionArn", "ImageVersionStatus", "Version")},
    ),
    Watched(
        "notebook instance",
        "NotebookInstanceStatus",
        "SageMaker Notebook Instance State Change",
    ),
    Watched(
        "model card",
        "ModelCardStatus",
        "SageMaker Model Card State Change",
        {
            name: name
            for name in ("ModelCardName", "ModelCardVersion", "ModelCardStatus", "CreationTime",
                         "LastModifiedTime", "SecurityConfig")
        },
    ),
    Watched(
        "hyperparameter tuning job",
        "HyperParameterTuningJobStatus",
        "SageMaker HyperParameter Tuning Job State Change",
    ),
    Watched("processing job", "ProcessingJobStatus", "SageMaker Processing Job State Change"),
    Watched("training job", "TrainingJobStatus", "SageMaker Training Job State Change"),
    Watched("transform job", "TransformJobStatus", "SageMaker Transform Job State Change"),
)  # fmt: skip


def changes(emulator: Emulator, known: Mapping[str, str], same: Same) -> Iterator[Change]:
    """What changed since the round before."""
    for watched in WATCHED:
        for item in emulator.store.all(watched.kind):
            now = item.fields.get(watched.status)
            if now is not None and not same(item.arn, now):
                yield watched.detail_type, [item.arn], _detail(emulator, watched, item)
    for item in emulator.store.all(PACKAGE):
        yield from _package(item, known, same)
    for item in emulator.store.all(EXECUTION):
        yield from _execution(item, known, same)


def _detail(emulator: Emulator, watched: Watched, item: Resource) -> dict[str, Any]:
    kind = BY_NAME[watched.kind]
    if watched.kind == "endpoint" and kind.on_describe:
        kind.on_describe(emulator, item)  # its variants
    facts = shown(item)
    members = watched.members or {name: name for name in output_members(kind.describe)}
    told = {name: facts[path] for name, path in members.items() if facts.get(path)}
    if watched.kind == "endpoint":
        told["EndpointStatus"] = _shouted(told["EndpointStatus"])
    return {**told, "Tags": emulator.store.tags.get(item.arn, {})}


def _shouted(status: str) -> str:
    """InService as IN_SERVICE, which is how events of endpoints have it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def _package(item: Resource, known: Mapping[str, str], same: Same) -> Iterator[Change]:
    """Its approval, its stage and what else UpdateModelPackage changes."""
    is_new = item.arn not in known
    values = {name: json.dumps(item.fields.get(name), default=str) for name in FIELDS}
    told = [name for name, value in values.items() if not same(f"{item.arn}#{name}", value)]
    same(item.arn, item.fields.get("ModelApprovalStatus") or "")
    if not told:
        return
    facts = shown(item)
    detail = {
        name: facts[name]
        for name in output_members(BY_NAME[PACKAGE].describe)
        if facts.get(name)
    }  # fmt: skip
    updated = {} if is_new else {"UpdatedModelPackageFields": told}
    yield "SageMaker Model Package State Change", [item.arn], {**detail, **updated}


def _execution(item: Resource, known: Mapping[str, str], same: Same) -> Iterator[Change]:
    """Of a pipeline's execution and of its steps; both begin with Executing."""
    facts = shown(item)
    arns = {
        "pipelineArn": facts["PipelineArn"],
        "pipelineExecutionArn": facts["PipelineExecutionArn"],
    }
    for step in list(item.live.steps.values()):
        key = f"{item.arn}/{step['StepName']}"
        before = known.get(key)
        if not same(key, step["StepStatus"]):
            yield STEP, [*arns.values()], {**_step(step, before), **arns}
    now, before = facts["PipelineExecutionStatus"], known.get(item.arn)
    if same(item.arn, now):
        return
    ended = {} if now in ("Executing", "Stopping") else {"executionEndTime": _iso(item.modified)}
    told = {
        "pipelineExecutionDisplayName": facts.get("PipelineExecutionDisplayName"),
        "pipelineExecutionDescription": facts.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": now,
        "previousPipelineExecutionStatus": before or ("Executing" if ended else None),
        "executionStartTime": _iso(item.created),
        **ended,
        **arns,
    }
    shown_type = "SageMaker Model Building Pipeline Execution Status Change"
    yield shown_type, [*arns.values()], {name: value for name, value in told.items() if value}


def _step(step: Mapping[str, Any], before: str | None) -> dict[str, Any]:
    """A step of ListPipelineExecutionSteps, as its event shows it."""
    told = {
        "stepName": step["StepName"],
        "stepType": next(iter(step.get("Metadata", {})), "").removesuffix("Job"),
        "stepStartTime": _iso(step.get("StartTime")),
        "stepEndTime": _iso(step.get("EndTime")),
        "currentStepStatus": step["StepStatus"],
        "previousStepStatus": before or ("Executing" if step.get("EndTime") else "Starting"),
        "failureReason": step.get("FailureReason"),
        "cacheHitResult": _lowered(step.get("CacheHitResult")),
    }
    return {
        "metadata": _lowered(step.get("Metadata", {})),
        **{name: value for name, value in told.items() if value},
    }


def _iso(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


def _lowered(value: Any) -> Any:
    """Members that begin with a small letter, `arn` for Arn."""
    if isinstance(value, list):
        return [_lowered(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {f"{name[:1].lower()}{name[1:]}": _lowered(one) for name, one in value.items()}
