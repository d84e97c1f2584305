"""Definitions of monitoring jobs: the four kinds with a name, and the one inside a schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.derived import derived
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Hook, Request, ResourceType
from stacks.local.aws.store import Resource

KINDS = ("DataQuality", "ModelBias", "ModelExplainability", "ModelQuality")
"""MonitoringType of a schedule."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a monitoring job reads, runs and writes, wherever that was said."""

    application: Mapping[str, Any]
    """AppSpecification of a processing job."""

    endpoint: str | None
    """Whose captured data it reads. None: that of a transform job, at `data`."""

    data: str
    dataset_format: Mapping[str, Any]
    local_path: str
    outputs: Sequence[Mapping[str, str]]
    cluster: Mapping[str, Any]
    role: str
    environment: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    """Variable that tells the container where a file is -> S3 address. Default: there is none."""

    ground_truth: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    """Variables that say which columns are what, where the definition does."""

    offsets: tuple[str, str] = ("", "")
    """StartTimeOffset and EndTimeOffset: by how much earlier the data are than the window."""

    config: str = ""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """NetworkConfig and StoppingCondition, where the definition has them."""


def of_named(kind: str, said: Request) -> Definition:
    """A definition of its own, of a MonitoringType."""
    return _built(
        said,
        app=said[f"{kind}AppSpecification"],
        read=said[f"{kind}JobInput"],
        outputs=said[f"{kind}JobOutputConfig"]["MonitoringOutputs"],
        cluster=said["JobResources"]["ClusterConfig"],
        baseline=said.get(f"{kind}BaselineConfig", {}),
        environment=said[f"{kind}AppSpecification"].get("Environment", {}),
    )


def of_inline(said: Request) -> Definition:
    """The definition inside a schedule."""
    return _built(
        said,
        app=said["MonitoringAppSpecification"],
        read=said["MonitoringInputs"][0],
        outputs=said["MonitoringOutputConfig"]["MonitoringOutputs"],
        cluster=said["MonitoringResources"]["ClusterConfig"],
        baseline=said.get("BaselineConfig", {}),
        environment=said.get("Environment", {}),
    )


def _built(
    said: Request,
    *,
    app: Request,
    read: Request,
    outputs: Sequence[Mapping[str, Any]],
    cluster: Mapping[str, Any],
    baseline: Request,
    environment: Mapping[str, str],
) -> Definition:
    source = read.get("EndpointInput") or read.get("BatchTransformInput")
    if source is None:
        raise invalid("a monitoring job needs EndpointInput or BatchTransformInput")
    runs = ("ImageUri", "ContainerEntrypoint", "ContainerArguments")
    rest = ("NetworkConfig", "StoppingCondition")
    files = {
        "baseline_constraints": baseline.get("ConstraintsResource", {}).get("S3Uri"),
        "baseline_statistics": baseline.get("StatisticsResource", {}).get("S3Uri"),
        "record_preprocessor_script": app.get("RecordPreprocessorSourceUri"),
        "post_analytics_processor_script": app.get("PostAnalyticsProcessorSourceUri"),
    }
    return Definition(
        application={name: app[name] for name in runs if name in app},
        endpoint=source.get("EndpointName"),
        data=source.get("DataCapturedDestinationS3Uri", ""),
        dataset_format=source.get("DatasetFormat", {}),
        local_path=source["LocalPath"].rstrip("/"),
        outputs=[output["S3Output"] for output in outputs],
        cluster=cluster,
        role=said["RoleArn"],
        environment=environment,
        files={name: uri for name, uri in files.items() if uri},
        ground_truth=read.get("GroundTruthS3Input", {}).get("S3Uri", ""),
        config=app.get("ConfigUri", ""),
        told=_variables(app, source),
        offsets=(source.get("StartTimeOffset", ""), source.get("EndTimeOffset", "")),
        rest={name: said[name] for name in rest if name in said},
    )


COLUMNS = {
    "inference_attribute": "InferenceAttribute",
    "probability_attribute": "ProbabilityAttribute",
    "probability_threshold_attribute": "ProbabilityThresholdAttribute",
}
"""Variable of the container -> member of EndpointInput and BatchTransformInput."""


def _variables(app: Request, source: Request) -> dict[str, str]:
    found = {name: source[member] for name, member in COLUMNS.items() if member in source}
    if "ProblemType" in app:
        found["problem_type"] = app["ProblemType"]
    return {name: str(value) for name, value in found.items()}


def _remember(kind: str) -> Hook:
    def create(emulator: Emulator, item: Resource, request: Request) -> None:
        """What lists show of a definition, under other names."""
        endpoint = of_named(kind, request).endpoint or ""
        item.fields |= {
            "MonitoringJobDefinitionName": item.name,
            "MonitoringJobDefinitionArn": item.arn,
            "EndpointName": endpoint,
        }

    return create


def _row(kind: str) -> ResourceType:
    return derived(
        f"{kind}JobDefinition",
        keys=("JobDefinitionName",),
        arn_field="JobDefinitionArn",
        on_create=_remember(kind),
        takes_all=True,
    )


DEFINITIONS = {kind: _row(kind) for kind in KINDS}
