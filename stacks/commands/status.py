"""`plinth status`, `doctor`, `coverage`, `compile` and `env`: looking without touching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from infra.naming import REALTIME
from stacks.commands.output import CommandOutput
from stacks.settings.load import load, workload_stack
from stacks.settings.model import (
    ClusterSettings,
    FoundationSettings,
    Settings,
    WorkloadSettings,
)
from stacks.stack_name import named, stacks_of
from stacks.targets import machine
from stacks.targets.aws_clients import Clients
from stacks.targets.target import target_of


def status(name: str, report: CommandOutput) -> dict[str, Any]:
    """What exists, where it answers and what is served."""
    stacks = named(name)
    target = target_of(stacks[0].env)
    settings = {stack: load(stack) for stack in stacks}
    state = target.state()
    clients = target.clients(settings[stacks[0]].environment.account.region)
    counts = target.resource_counts()
    found = {stack: _stack(settings[stack], clients) for stack in stacks}
    for stack, shown in found.items():
        report.table(str(stack), {"resources": counts.get(str(stack)), **shown})
    report.table(f"environment {stacks[0].env}", {k: _shown(v) for k, v in state.items()})
    return {
        "name": name,
        "env": stacks[0].env,
        "stacks": {
            str(stack): {"resources": counts.get(str(stack)), **shown}
            for stack, shown in found.items()
        },
        **state,
    }


def _shown(value: Any) -> Any:
    """Processes and sockets in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(f"{one['process']} {one['port']}" for one in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _stack(settings: Settings, clients: Clients) -> dict[str, Any]:
    """What a person asks first of a stack."""
    names = settings.names
    match settings:
        case FoundationSettings():
            return {
                "buckets": [names.bucket(role) for role in ("artifacts", "data")],
                "landing_uri": f"s3://{names.bucket('data')}/landing/",
            }
        case ClusterSettings():
            return {"cluster_name": names.of("cluster"), "gpu_pools": sorted(settings.gpu_pools)}
        case WorkloadSettings():
            return _workload(settings, clients)


def _workload(settings: WorkloadSettings, clients: Clients) -> dict[str, Any]:
    names, workload = settings.names, settings.workload
    pipelines = [names.of(pipeline) for pipeline in workload.pipelines]
    shown = {
        "owner": workload.owner,
        "pipeline_names": pipelines,
        "last_run": last_run(clients("sagemaker"), pipelines),
    }
    if workload.model is None:
        return shown
    return {**shown, **served(clients, names.of(REALTIME))}


def last_run(sagemaker: Any, pipelines: Sequence[str]) -> str | None:
    """How the newest run of these pipelines ended, and when; None where there was none."""
    from botocore.exceptions import ClientError

    newest = None
    for pipeline in pipelines:
        try:
            answer = sagemaker.list_pipeline_executions(
                PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFound":
                raise
            continue
        for execution in answer["PipelineExecutionSummaries"]:
            if newest is None or execution["StartTime"] > newest["StartTime"]:
                newest = execution
    if newest is None:
        return None
    return f"{newest['PipelineExecutionStatus']} {newest['StartTime']:%Y-%m-%d %H:%M} UTC"


def served(clients: Clients, endpoint: str) -> dict[str, Any]:
    """The endpoint, its status and the model package behind it; Nones when there is none."""
    from botocore.exceptions import ClientError

    sagemaker = clients("sagemaker")
    try:
        described = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return {"endpoint_name": None, "endpoint_status": None, "model_package_arn": None}
    config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return {
        "endpoint_name": endpoint,
        "endpoint_status": described["EndpointStatus"],
        "endpoint_config_name": described["EndpointConfigName"],
        "model_package_arn": model.get("PrimaryContainer", {}).get("ModelPackageName"),
    }


def doctor(env: str, report: CommandOutput) -> dict[str, Any]:
    """What the environment needs on this machine, what is there, and how to get the rest."""
    stacks_of(env)  # there is such an environment
    needs = [machine.python(), *target_of(env).needs()]
    for need in needs:
        mark = "[green]ok[/]     " if need.ok else "[red]missing[/]"
        report.say(f"{mark} {need.what}: {need.got}")
        if not need.ok:
            report.say(f"        fix: {need.fix}")
    return {"env": env, "ok": all(need.ok for need in needs), "checks": [*map(asdict, needs)]}


def coverage(report: CommandOutput) -> dict[str, Any]:
    """How faithful the local environment is, operation by operation and type by type."""
    from rich.table import Table

    from stacks.local.aws.emr import coverage as emr
    from stacks.local.aws.glue.coverage import COVERED as GLUE
    from stacks.local.aws.iam.coverage import DECIDED, NOT_DECIDED
    from stacks.local.aws.recorded.table import KINDS
    from stacks.local.aws.sagemaker.coverage import coverage as operations
    from stacks.local.aws.sagemaker.coverage import totals
    from stacks.local.provider.aws.table import ROWS
    from stacks.local.provider.kubernetes.coverage import COVERED

    covered = operations()
    api = [{"operation": o.operation, "fidelity": o.fidelity, "note": o.note} for o in covered]
    types = [{"type": row.token, "fidelity": row.fidelity} for row in ROWS.values()]
    recorded = sorted(f"{kind.service}: {kind.name}" for kind in KINDS if kind not in emr.ACTS)
    table = Table(box=None, title="SageMaker operations", title_justify="left")
    for column in ("operation", "fidelity", "note"):
        table.add_column(column, overflow="fold")
    for item in api:
        table.add_row(*map(str, item.values()))
    kinds = Table(box=None, title="resource types", title_justify="left")
    for column in ("type", "fidelity"):
        kinds.add_column(column, overflow="fold")
    for row in types:
        kinds.add_row(*map(str, row.values()))
    if not report.as_json:
        report.out.print(table)
        report.table("SageMaker operations in total", totals(covered))
        report.out.print(kinds)
        report.table("Kubernetes", COVERED)
        report.table("EMR and EMR Serverless", emr.COVERED)
        report.table("Glue", GLUE)
        report.table("IAM decides", DECIDED)
        report.table("allowed without a decision of IAM", NOT_DECIDED)
        report.out.print(f"recorded beside moto, nothing of it acts: {', '.join(recorded)}")
    return {
        "sagemaker_operations": api,
        "sagemaker_totals": totals(covered),
        "resource_types": types,
        "kubernetes": COVERED,
        "emr": emr.COVERED,
        "glue": GLUE,
        "iam": {"decided": DECIDED, "not_decided": NOT_DECIDED},
        "recorded": recorded,
    }


def compiled(name: str, pipeline: str | None) -> str:
    """The compiled definition of a workload's pipeline."""
    from stacks.definitions import definitions

    _, settings = workload_stack(name)
    chosen = pipeline or next(iter(settings.workload.pipelines))
    settings.workload.pipeline(chosen)
    return definitions(settings)[chosen]


def variables(env: str) -> dict[str, str]:
    """Environment variables for plain `pulumi`, boto3, the AWS CLI and the SageMaker SDK."""
    stacks_of(env)
    return target_of(env).variables()
