"""`plinth execution`: the page about an execution of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.commands.output import CommandOutput
from stacks.paths import home, shown
from stacks.settings.load import load_environment, workload_stack
from stacks.targets.aws_clients import Clients
from stacks.targets.target import target_of

if TYPE_CHECKING:
    from stacks.executions.record import ExecutionRecord


def execution(
    name: str, arn: str | None, output: Path | None, report: CommandOutput
) -> dict[str, Any]:
    """Write the page about one execution: by default the newest of a workload's pipelines."""
    env = name.partition(".")[0]
    region = load_environment(env).account.region
    clients = target_of(env).clients(region)
    chosen = arn or _newest(clients, name)
    path = output or page_of(chosen)
    record = write_page(clients, chosen, path)
    rows = {
        step.name: f"{step.status}  {step.seconds:.1f} s" if step.seconds else step.status
        for step in record.steps
    }
    report.table(f"{record.pipeline}: {record.status}", rows)
    report.say(f"page: {shown(path)}")
    return {
        "execution_arn": chosen,
        "pipeline_name": record.pipeline,
        "status": record.status,
        "page": str(path),
        "steps": told(record),
        "left_out": list(record.notes),
    }


def told(record: ExecutionRecord) -> list[dict[str, Any]]:
    """The steps of an execution for `--json`."""
    return [
        {
            "name": step.name,
            "type": step.type,
            "status": step.status,
            "seconds": round(step.seconds, 3),
            "metrics": dict(step.metrics),
            "cache": step.cache,
            "failure_reason": step.failure or None,
        }
        for step in record.steps
    ]


def page_of(arn: str) -> Path:
    """Where the page about an execution is kept."""
    pipeline, _, number = arn.partition(":pipeline/")[2].partition("/execution/")
    return home() / "executions" / f"{pipeline}-{number}.html"


def write_page(
    clients: Clients, arn: str, path: Path, cached: Mapping[str, Any] | None = None
) -> ExecutionRecord:
    """Write the page about an execution; what it tells, as a record (`record.collect`).

    UserError where there is no such execution.
    """
    from botocore.exceptions import ClientError

    from stacks.executions.page import render
    from stacks.executions.record import collect

    try:
        record = collect(clients, arn, cached)
    except ClientError as error:
        raise UserError(
            f"{arn} must be an execution of a pipeline, got {error.response['Error']['Message']}",
            fix="name one that `aws sagemaker list-pipeline-executions --pipeline-name` lists",
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(render(record))
    return record


def _newest(clients: Clients, name: str) -> str:
    """The last execution of any pipeline of a workload."""
    from botocore.exceptions import ClientError

    stack, settings = workload_stack(name)
    found = []
    for pipeline in settings.workload.pipelines:
        asked = {"PipelineName": settings.names.of(pipeline), "SortOrder": "Descending"}
        try:
            found += clients("sagemaker").list_pipeline_executions(**asked, MaxResults=1)[
                "PipelineExecutionSummaries"
            ]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFound":
                raise
    if not found:
        raise UserError(
            f"{stack} must have an execution, got none", fix=f"type `plinth run {stack}`"
        )
    return str(max(found, key=lambda one: one["StartTime"])["PipelineExecutionArn"])
