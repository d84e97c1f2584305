"""What a job leaves in the lineage: a component of a trial, its data, its image, its model.

SageMaker makes them for every job, whether it is part of an experiment or not (developer guide,
"Amazon SageMaker ML Lineage Tracking": entities that SageMaker AI creates).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jmespath

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.derived import words
from stacks.local.aws.sagemaker.experiment_metrics import add_metrics
from stacks.local.aws.sagemaker.experiments import COMPONENT, EXPERIMENT, TRIAL, belong
from stacks.local.aws.sagemaker.lineage import ARTIFACT, artifact_name, associate
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.store import Resource

IMAGE, MODEL = "SageMaker.ImageUri", "SageMaker.ModelArtifact"


@dataclass(frozen=True, kw_only=True)
class Told:
    """Where a request says what a job reads and writes, as JMESPath."""

    cluster: str
    inputs: str
    """Pairs of a name and an address."""

    outputs: str
    image: str
    parameters: str = "Environment"
    artifact_type: str = "DataSet"
    """Of what it writes."""


TOLD = {
    "TrainingJob": Told(
        cluster="ResourceConfig",
        image="AlgorithmSpecification.TrainingImage",
        parameters="HyperParameters",
        inputs="InputDataConfig[].[ChannelName, DataSource.S3DataSource.S3Uri]",
        outputs=f"[['{MODEL}', ModelArtifacts.S3ModelArtifacts]]",
        artifact_type="Model",
    ),
    "ProcessingJob": Told(
        cluster="ProcessingResources.ClusterConfig",
        image="AppSpecification.ImageUri",
        inputs="ProcessingInputs[].[InputName, S3Input.S3Uri]",
        outputs="ProcessingOutputConfig.Outputs[].[OutputName, S3Output.S3Uri]",
    ),
    "TransformJob": Told(
        cluster="TransformResources",
        image="Image",
        inputs="[['SageMaker.TransformInput', TransformInput.DataSource.S3DataSource.S3Uri]]",
        outputs="[['SageMaker.TransformOutput', TransformOutput.S3OutputPath]]",
    ),
}
"""Operation's stem -> what its request says."""


def check(emulator: Emulator, request: Request) -> None:
    """ResourceNotFound where a job names an experiment or a trial that is not there."""
    config = request.get("ExperimentConfig", {})
    for member, kind in (("ExperimentName", EXPERIMENT), ("TrialName", TRIAL)):
        if member in config:
            crud.get(emulator, kind, config[member])


def start(emulator: Emulator, job: Resource, stem: str, request: Request) -> None:
    """Make the component of a job, part of the trial that it names, and what it reads."""
    told, config = TOLD[stem], request.get("ExperimentConfig", {})
    name = _name(job, stem)
    _forget(emulator, name)
    crud.create(
        emulator,
        COMPONENT,
        {
            "TrialComponentName": name,
            "DisplayName": config.get("TrialComponentDisplayName", name),
            "Status": {"PrimaryStatus": "InProgress"},
            "StartTime": job.created,
            "Parameters": _parameters(told, request),
            "InputArtifacts": _artifacts(told.inputs, request) | _image(told, request),
        },
    )
    item = crud.get(emulator, COMPONENT, name)
    source = {"SourceArn": job.arn, "SourceType": f"SageMaker{stem}"}
    item.set(Source=source, TrialComponentSource=source, RunName=config.get("RunName"))
    item.fields["SourceArn"] = job.arn
    if trial := _trial(emulator, job, config):
        belong(emulator, item, [trial])
    for artifact in item.fields["InputArtifacts"]:
        kind = "Image" if artifact == IMAGE else "DataSet"
        uri = item.fields["InputArtifacts"][artifact]["Value"]
        associate(emulator, _artifact(emulator, uri, kind), item, "ContributedTo")


def end(emulator: Emulator, job: Resource, stem: str) -> None:
    """Say how it ended, what it measured and what it wrote."""
    item = emulator.store.find(COMPONENT.name, _name(job, stem))
    if item is None:  # somebody deleted it
        return
    status, told = str(job.fields[f"{stem}Status"]), TOLD[stem]
    shown = {"PrimaryStatus": status}
    if reason := job.fields.get("FailureReason"):
        shown["Message"] = reason
    item.set(Status=shown, EndTime=job.modified)
    if points := job.fields.get("FinalMetricDataList"):
        add_metrics(item, points)
    if status != "Completed":
        return
    item.set(OutputArtifacts=_artifacts(told.outputs, job.fields))
    for artifact in item.fields["OutputArtifacts"].values():
        made = _artifact(emulator, artifact["Value"], told.artifact_type)
        associate(emulator, item, made, "Produced")


def _name(job: Resource, stem: str) -> str:
    return f"{job.name}-aws-{words(stem).replace(' ', '-')}"


def _forget(emulator: Emulator, name: str) -> None:
    """The component of a job that was called the same and is gone."""
    old = emulator.store.find(COMPONENT.name, name)
    if old is not None:
        belong(emulator, old, [])
        emulator.store.remove(old)


def _trial(emulator: Emulator, job: Resource, config: Request) -> str | None:
    """ExperimentConfig, API reference: a trial is made where an experiment alone is named."""
    if "TrialName" in config or "ExperimentName" not in config:
        return config.get("TrialName")
    name = f"{job.name}-aws-trial-{crud.made_id(6)}"
    crud.create(emulator, TRIAL, {"TrialName": name, "ExperimentName": config["ExperimentName"]})
    return name


def _parameters(told: Told, request: Request) -> dict[str, dict[str, Any]]:
    cluster = jmespath.search(told.cluster, request) or {}
    own = {
        f"SageMaker.{member}": cluster[member]
        for member in ("InstanceCount", "InstanceType", "VolumeSizeInGB")
        if member in cluster
    }
    given: Mapping[str, Any] = jmespath.search(told.parameters, request) or {}
    return {name: _parameter(value) for name, value in {**given, **own}.items()}


def _parameter(value: Any) -> dict[str, Any]:
    """A number as a number (TrialComponentParameterValue, API reference)."""
    try:
        return {"NumberValue": float(value)}
    except ValueError:
        return {"StringValue": str(value)}


def _image(told: Told, request: Request) -> dict[str, dict[str, str]]:
    image = jmespath.search(told.image, request)
    return {IMAGE: {"Value": image}} if image else {}


def _artifacts(path: str, said: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found = jmespath.search(path, said) or []
    return {name: {"Value": uri} for name, uri in found if uri}


def _artifact(emulator: Emulator, uri: str, kind: str) -> Resource:
    """The artifact of an address, made where there is none."""
    made = {"Source": {"SourceUri": uri}, "ArtifactType": kind}
    name = artifact_name(emulator, made)
    if emulator.store.find(ARTIFACT.name, name) is None:
        crud.create(emulator, ARTIFACT, made)
    return crud.get(emulator, ARTIFACT, name)
