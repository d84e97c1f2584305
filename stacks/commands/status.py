"""`plinth status`, `doctor`, `coverage`, `compile` and `env`: looking without touching."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from infra.naming import REALTIME
from stacks.commands.output import CommandOutput
from stacks.paths import home
from stacks.settings.load import load, load_environment, workload_stack
from stacks.settings.model import (
    ClusterSettings,
    FoundationSettings,
    Settings,
    WorkloadSettings,
)
from stacks.stack_name import named, stacks_of
from stacks.targets import aws_clients
from stacks.targets.target import LOCAL, Clients, target_of


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
    from stacks.definitions import pipeline_name

    names, workload = settings.names, settings.workload
    pipelines = [pipeline_name(names, pipeline) for pipeline in workload.pipelines]
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
    checks = [_python_check(), *(_local_checks() if env == LOCAL else _cloud_checks(env))]
    for check in checks:
        mark = "[green]ok[/]     " if check["ok"] else "[red]missing[/]"
        report.say(f"{mark} {check['what']}: {check['got']}")
        if not check["ok"]:
            report.say(f"        fix: {check['fix']}")
    return {"env": env, "ok": all(check["ok"] for check in checks), "checks": checks}


def _check(what: str, ok: bool, got: str, fix: str) -> dict[str, Any]:
    return {"what": what, "ok": ok, "got": got, "fix": "" if ok else fix}


def _python_check() -> dict[str, Any]:
    version = sys.version.split()[0]
    return _check("Python 3.11 or newer", sys.version_info >= (3, 11), version, "install it")


def _local_checks() -> list[dict[str, Any]]:
    from stacks.local.daemon import client as session
    from stacks.toolchain import control_plane
    from stacks.toolchain import pulumi as toolchain

    kubernetes = control_plane.find()
    pulumi = toolchain.find()
    can_build = pulumi is not None or shutil.which("go") is not None or shutil.which("uv")
    cli = _check(
        f"Pulumi CLI {toolchain.PULUMI_VERSION} or newer",
        pulumi is not None or bool(can_build),
        f"{pulumi.version} ({pulumi.origin})" if pulumi else "none yet, `plinth up local` gets it",
        "install Pulumi, or Go 1.24 so that it can be built",
    )
    isolation = shutil.which("unshare")
    found = session.find(home())
    free_gib = shutil.disk_usage(home().parent).free / 2**30
    return [
        cli,
        _check(
            "mount namespaces for jobs",
            True,  # a machine without them runs the same jobs, less faithfully
            isolation or "no unshare (util-linux): jobs run with rewritten paths",
            "",
        ),
        _check(
            f"Kubernetes control plane {control_plane.KUBERNETES_VERSION} or newer",
            True,  # a machine without one checks and records the objects
            f"{kubernetes.version} ({kubernetes.origin})"
            if kubernetes
            else f"none: objects are only checked and recorded, `{control_plane.BUILD_COMMAND}` "
            "builds it",
            "",
        ),
        _check("2 GiB of disk", free_gib > 2, f"{free_gib:.0f} GiB free", "free some"),
        _check(
            "local cloud",
            True,
            found.endpoint_url if found else "not running, `plinth up local` starts it",
            "",
        ),
    ]


def _cloud_checks(env: str) -> list[dict[str, Any]]:
    import os

    from stacks.toolchain import pulumi as toolchain

    load_environment(env)
    pulumi = toolchain.find()
    official = pulumi is not None and pulumi.origin == "PATH"
    return [
        _check(
            "official Pulumi CLI on PATH",
            official,
            pulumi.version if official and pulumi else "none",
            "install Pulumi from pulumi.com",
        ),
        _check(
            "AWS credentials",
            aws_clients.has_credentials(),
            "found" if aws_clients.has_credentials() else "none",
            f"log in to the account of {env}; for an instance role on EC2 set "
            "AWS_EC2_METADATA_DISABLED=false",
        ),
        _check(
            "place for the state",
            "PULUMI_BACKEND_URL" in os.environ,
            os.environ.get("PULUMI_BACKEND_URL", "none"),
            "set PULUMI_BACKEND_URL to a bucket of that account",
        ),
    ]


def coverage(report: CommandOutput) -> dict[str, Any]:
    """How faithful the local environment is, operation by operation and type by type."""
    from rich.table import Table

    from stacks.local.aws.recorded.table import KINDS
    from stacks.local.aws.sagemaker.coverage import coverage as operations
    from stacks.local.provider.aws.table import ROWS
    from stacks.local.provider.kubernetes.coverage import COVERED

    api = [{"operation": o.operation, "fidelity": o.fidelity, "note": o.note} for o in operations()]
    types = [{"type": row.token, "fidelity": row.fidelity} for row in ROWS.values()]
    recorded = sorted(f"{kind.service}: {kind.name}" for kind in KINDS)
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
        report.out.print(kinds)
        report.table("Kubernetes", COVERED)
        report.out.print(f"recorded beside moto, nothing of it acts: {', '.join(recorded)}")
    return {
        "sagemaker_operations": api,
        "resource_types": types,
        "kubernetes": COVERED,
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
