"""What SageMaker's API tells of an execution: its steps, how they went, what they read and made.

It asks with AWS's own APIs alone, about any pipeline; no account has answered it yet. What the
caller may not ask for is left out, and `notes` says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pipelines.executor.cache_report import Execution, explain
from pipelines.executor.planned import PlannedStep
from pipelines.executor.runners import RUNNERS
from policies.secret_names import SECRET, says_secret, without_secrets
from stacks.executions.job_logs import JobLogs, arn_of, log_of

LOG_LINES = 200
FILE_BYTES = 256 * 1024
"""Longest property file whose numbers are read."""

METRICS = 40
"""Numbers of one step that are shown."""

NAMES = ("InputName", "OutputName", "ChannelName")
"""Members that name what stands beside them."""

OUTPUTS = ("Output", "ModelArtifacts", "Checkpoint")
"""What is in the name of a member whose places a job writes to."""

Clients = Callable[[str], Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in S3 that a job reads or writes."""

    name: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One step as it went."""

    name: str
    type: str
    status: str
    """As SageMaker says it, or `NotStarted`."""

    needs: Sequence[str] = ()
    start: datetime | None = None
    end: datetime | None = None
    job: str = ""
    """Name of the job that it made. Default: it made none."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """What SageMaker tells of it beside: image, instances, outcome of a condition, ARNs."""

    inputs: Sequence[Place] = ()
    outputs: Sequence[Place] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    cache: Mapping[str, Any] | None = None
    """What the cache did (`cache_report.explain`). Default: its cache is off."""

    failure: str = ""
    log: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds() if self.start and self.end else 0.0


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord:
    """One execution as it went."""

    pipeline: str
    arn: str
    status: str
    start: datetime
    end: datetime
    parameters: Mapping[str, str]
    steps: Sequence[StepRecord]
    failure: str = ""
    notes: Sequence[str] = ()


def collect(clients: Clients, arn: str, cached: Mapping[str, Any] | None = None) -> ExecutionRecord:
    """Ask SageMaker, CloudWatch and S3 about an execution; ClientError where it is none.

    `cached`: what the cache did, by step. Default: it is asked for.
    """
    execution = Execution(clients("sagemaker"), arn)
    told = execution.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    reader = _Reader(clients, execution)
    steps = reader.steps(cached)
    ends = [step.end for step in steps if step.end]
    return ExecutionRecord(
        pipeline=arn.partition(":pipeline/")[2].partition("/")[0],
        arn=arn,
        status=told["PipelineExecutionStatus"],
        start=told["CreationTime"],
        end=max([told["LastModifiedTime"], *ends]),
        parameters=reader.parameters(),
        steps=steps,
        failure=without_secrets(told.get("FailureReason", "")),
        notes=sorted(reader.notes),
    )


class _Reader:
    """Reads the steps; what is denied is a note."""

    def __init__(self, clients: Clients, execution: Execution) -> None:
        self.clients = clients
        self.execution = execution
        self.logs = JobLogs(clients("logs"))
        self.notes: set[str] = set()
        self.defined: Mapping[str, PlannedStep] = {}
        with self._asking("its definition"):
            self.defined = execution.steps

    def parameters(self) -> dict[str, str]:
        """What it was started with, secrets left out."""
        found: Mapping[str, str] = {}
        with self._asking("its parameters"):
            found = self.execution.parameters
        return {name: _shown(name, text) for name, text in found.items()}

    def steps(self, cached: Mapping[str, Any] | None) -> list[StepRecord]:
        """Those that began in the order in which they did, then those that did not."""
        rows, told = self.execution.rows, cached or {}
        if cached is None and self.defined:
            with self._asking("what the cache did"):
                told = explain(self.execution.sagemaker, self.execution.arn, rows)
        found = [self._step(row, told.get(row["StepName"])) for row in rows]
        begun = {step.name for step in found}
        begun |= {step.name for row in rows if (step := self._planned(row)) is not None}
        rest = [step for name, step in self.defined.items() if name not in begun]
        return found + [
            StepRecord(
                name=step.name, type=step.type, status="NotStarted", needs=sorted(_needs(step))
            )
            for step in rest
        ]

    def _planned(self, row: Mapping[str, Any]) -> PlannedStep | None:
        return self.execution.planned(row) if self.defined else None

    def _step(self, row: Mapping[str, Any], cached: Mapping[str, Any] | None) -> StepRecord:
        planned, log = self._planned(row), log_of(row)
        kind = planned.type if planned else _kind(row)
        described, job = self._described(row, kind), log.job if log else ""
        lines: list[str] = []
        if log is not None:
            with self._asking("the logs of its jobs"):
                lines = self.logs.last_lines(log, LOG_LINES)
        metrics = dict(_of_training(described))
        if planned is not None and row["StepStatus"] == "Succeeded":
            with self._asking("its property files"):
                metrics |= self._of_files(planned, described)
        places = list(_places(described))
        return StepRecord(
            name=row["StepName"],
            type=kind,
            status=row["StepStatus"],
            needs=sorted(_needs(planned)) if planned else (),
            start=row.get("StartTime"),
            end=row.get("EndTime"),
            job=job,
            facts={**_facts(described), **_metadata(row, job)},
            inputs=[place for path, place in places if not _writes(path)],
            outputs=[place for path, place in places if _writes(path)],
            metrics=dict(list(metrics.items())[:METRICS]),
            cache=cached,
            failure=without_secrets(row.get("FailureReason", "")),
            log=lines,
        )

    def _described(self, row: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
        """What SageMaker says of the resource that a step made."""
        runner = RUNNERS.get(kind)
        arn = arn_of(row.get("Metadata", {}).get(runner.metadata_key, {})) if runner else ""
        found: Mapping[str, Any] = {}
        if runner is not None and arn:
            name = arn.rpartition("/")[2]
            by_arn = bool(runner.describe_field)
            asked = {runner.describe_field: arn} if by_arn else {runner.name_field: name}
            with self._asking("what its steps made"):
                found = getattr(self.execution.sagemaker, runner.describe)(**asked)
        return found

    def _of_files(self, planned: PlannedStep, described: Mapping[str, Any]) -> dict[str, float]:
        """The numbers in the property files of a processing step."""
        outputs = described.get("ProcessingOutputConfig", {}).get("Outputs", [])
        uris = {out["OutputName"]: out.get("S3Output", {}).get("S3Uri", "") for out in outputs}
        found: dict[str, float] = {}
        for file in planned.property_files.values():
            place = urlsplit(f"{uris.get(file.output_name, '').rstrip('/')}/{file.file_path}")
            if place.scheme == "s3":
                body = self.clients("s3").get_object(Bucket=place.netloc, Key=place.path[1:])
                found |= dict(_numbers(_json(body["Body"].read(FILE_BYTES)), ""))
        return found

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """What AWS refuses is left out, and said."""
        from botocore.exceptions import ClientError

        try:
            yield
        except ClientError as error:
            self.notes.add(f"{what}: {error.response['Error']['Message']}")


def _kind(row: Mapping[str, Any]) -> str:
    """The type of a step that the definition has no longer, by what it made."""
    made = row.get("Metadata", {})
    return next((kind for kind, one in RUNNERS.items() if one.metadata_key in made), "")


def _needs(step: PlannedStep) -> set[str]:
    """What it waits for, with the Condition or ForEach step that it is nested in."""
    around = {step.branch[0]} if step.branch else set()
    return {*step.waits_for, *around, *([step.loop] if step.loop else [])}


def _of_training(described: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for metric in described.get("FinalMetricDataList", []):
        yield metric["MetricName"], metric["Value"]
    best = described.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    if best:
        yield best["MetricName"], best["Value"]


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """The numbers in a JSON value by their paths."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None  # too long, or none: its step says what it must be


def _places(value: Any, path: str = "", name: str = "") -> Iterator[tuple[str, Place]]:
    """Every place in S3 that a description names, with its path in it."""
    if isinstance(value, Mapping):
        name = next((str(value[key]) for key in NAMES if key in value), name)
        for key, inner in value.items():
            yield from _places(inner, f"{path}.{key}", name)
    elif isinstance(value, list):
        for inner in value:
            yield from _places(inner, path, name)
    elif isinstance(value, str) and value.startswith("s3://"):
        yield path, Place(name=name or path.rpartition(".")[2], uri=value)


def _writes(path: str) -> bool:
    return any(word in path for word in OUTPUTS)


IMAGES = ("AlgorithmSpecification.TrainingImage", "AppSpecification.ImageUri")
CLUSTERS = ("ResourceConfig", "ProcessingResources.ClusterConfig", "TransformResources")


def _facts(described: Mapping[str, Any]) -> dict[str, str]:
    """Image and instances of a job."""
    found = {}
    for path in IMAGES:
        if image := _at(described, path):
            found["image"] = str(image)
    for path in CLUSTERS:
        cluster = _at(described, path)
        if cluster and cluster.get("InstanceType"):
            found["instances"] = f"{cluster['InstanceCount']} {cluster['InstanceType']}"
    return found


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _metadata(row: Mapping[str, Any], job: str) -> dict[str, str]:
    """What SageMaker tells of a step itself, secrets and the ARN of its job left out."""
    told = _texts(row.get("Metadata", {}), "")
    return {name: text for name, text in told if not job or not text.endswith(f"/{job}")}


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{path} {name}".strip())
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path} {number}")
    elif value is not None:
        yield path, _shown(path.rpartition(" ")[2], str(value))


def _shown(name: str, text: str) -> str:
    """A value that a person gave, without what is secret by its name or looks."""
    return SECRET if says_secret(name) else without_secrets(text)
