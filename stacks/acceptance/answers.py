"""What AWS answers, by its shape, beside what the local cloud answers to the same questions.

Every resource that stands is read by the calls that the local provider reads it by, and every
pipeline's newest execution with its jobs. Of an answer only the kinds of its members are kept, so
that no name, id or secret of an account is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.errors import UserError
from stacks.acceptance.shapes import Shape, merged, shape_of

FILE = Path(__file__).with_name("local_answers.json")
"""What the local cloud answered; the test of the acceptance of `local` holds it to the truth."""

JOBS = {
    "ProcessingJob": ("describe_processing_job", "ProcessingJobName"),
    "TrainingJob": ("describe_training_job", "TrainingJobName"),
    "RegisterModel": ("describe_model_package", "ModelPackageName"),
}
"""Metadata of a pipeline's step -> how to read what it made (SageMaker API reference,
PipelineExecutionStepMetadata)."""


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Clients whose answers are kept by their shapes; the provider's calls are made through it."""

    clients: Callable[[str], Any]
    region: str
    shapes: dict[str, Shape] = field(default_factory=dict)
    """By service and operation, such as `ec2.DescribeVpcs`."""

    _made: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The client of a service, made once."""
        if service not in self._made:
            client = self._made[service] = self.clients(service)
            client.meta.events.register("after-call.*", self._keep)
        return self._made[service]

    @cached_property
    def caller(self) -> Mapping[str, str]:
        """Account, ARN and user id of whoever asks."""
        answer: dict[str, str] = self.client("sts").get_caller_identity()
        return answer

    def _keep(self, model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
        answer = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        if "Error" in answer:  # no answer: the resource is read no further
            return
        name = f"{model.service_model.service_name}.{model.name}"
        shape = shape_of(answer, model.output_shape)
        self.shapes[name] = merged(self.shapes.get(name), shape)


def record(
    resources: Iterable[Mapping[str, Any]], prefix: str, recorder: Recorder
) -> tuple[Mapping[str, Shape], list[str]]:
    """Read every AWS resource of these states, and executions of the pipelines with a prefix.

    Returns the shapes of the answers, and what was not read. Resources are as `pulumi stack export`
    has them (Pulumi documentation, state file).
    """
    unread = [problem for one in resources for problem in _read(one, recorder)]
    unread += _executions(prefix, recorder)
    return dict(sorted(recorder.shapes.items())), unread


def _read(resource: Mapping[str, Any], recorder: Recorder) -> Iterator[str]:
    from stacks.local.provider.aws.calls import RowExecutor
    from stacks.local.provider.aws.requests import RowMapper
    from stacks.local.provider.aws.table import ROWS
    from stacks.local.provider.backend import Subject

    token, urn = str(resource["type"]), str(resource["urn"])
    if token not in ROWS or not resource.get("id"):
        return
    reading = RowExecutor(
        session=recorder,
        subject=Subject(urn=urn, token=token, name=urn.rpartition("::")[2]),
        table=RowMapper(ROWS[token]),
        id=str(resource["id"]),
        old=resource.get("inputs") or {},
    )
    try:
        if reading.describe() is None:
            yield f"{reading.subject}: there is none"
    except UserError as error:
        yield str(error)
    except (LookupError, TypeError, ValueError) as error:  # an id of another form than here
        yield f"{reading.subject}: {type(error).__name__}: {error}"


def _executions(prefix: str, recorder: Recorder) -> Iterator[str]:
    """The newest execution of each pipeline, its steps, and what they made."""
    from botocore.exceptions import ClientError

    sagemaker = recorder.client("sagemaker")
    try:
        pages = sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=prefix)
        names = [one["PipelineName"] for page in pages for one in page["PipelineSummaries"]]
    except ClientError as error:
        yield str(error)
        return
    for name in names:
        try:
            _execution(sagemaker, name)
        except ClientError as error:
            yield f"{name}: {error}"


def _execution(sagemaker: Any, pipeline: str) -> None:
    found = sagemaker.list_pipeline_executions(PipelineName=pipeline, MaxResults=1)
    for execution in found["PipelineExecutionSummaries"]:
        arn = execution["PipelineExecutionArn"]
        sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        for step in steps["PipelineExecutionSteps"]:
            for kind, made in step.get("Metadata", {}).items():
                if kind in JOBS and made.get("Arn"):
                    operation, member = JOBS[kind]
                    name = made["Arn"] if kind == "RegisterModel" else made["Arn"].split("/")[-1]
                    getattr(sagemaker, operation)(**{member: name})


def of_local() -> Mapping[str, Shape]:
    """What the local cloud answered when this commit was tested."""
    found: Mapping[str, Shape] = json.loads(FILE.read_text())
    return found


def write(shapes: Mapping[str, Shape], file: Path) -> None:
    """Write shapes so that a difference between two files can be read."""
    file.write_text(json.dumps(shapes, indent=1, sort_keys=True) + "\n")
