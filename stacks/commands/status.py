"""`plinth status`, `doctor`, `coverage`, `compile` and `env`: looking without touching."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from typing import Any

from infra.errors import UserError
from stacks.commands.output import CommandOutput
from stacks.paths import home
from stacks.settings.load import environments, load
from stacks.targets import aws_clients
from stacks.workload import MODEL


def status(env: str, report: CommandOutput) -> dict[str, Any]:
    """What exists, where it answers and what is served."""
    settings = load(env)
    if env == "local":
        return _local_status(report)
    client = aws_clients.clients(env)
    names = settings.names(env)
    served = _served(client, names.of(MODEL))
    report.table(env, served)
    return {"env": env, "pipeline_name": names.of("training"), **served}


def _local_status(report: CommandOutput) -> dict[str, Any]:
    from stacks.commands import kubernetes
    from stacks.local.daemon import client as session
    from stacks.local.daemon import environment
    from stacks.local.daemon.listeners import listeners
    from stacks.local.runtime.processes import Children

    found = session.find(home())
    if found is None:
        raise UserError("the local cloud must run, got none", fix="type `plinth up local`")
    client = aws_clients.clients("local")
    names = load("local").names("local")
    pipelines = client("sagemaker").list_pipelines()["PipelineSummaries"]
    recorded = Children(folder=home() / "local" / "run").recorded()
    children = [child for child in recorded if child.alive()]
    result = {
        "env": "local",
        "endpoint_url": found.endpoint_url,
        "tracking_url": _tracking_url(),
        "pipeline_name": pipelines[0]["PipelineName"] if pipelines else None,
        **_served(client, names.of(MODEL)),
        "buckets": sorted(b["Name"] for b in client("s3").list_buckets()["Buckets"]),
        "landing_uri": f"s3://{names.bucket('data')}/landing/",
        "resources": environment.resource_count(home()),
        "job_isolation": found.job_isolation,
        **kubernetes.state(home()),
        "pids": [found.pid, *(child.pid for child in children)],
        "listeners": [asdict(listener) for listener in listeners(home(), found)],
    }
    open_ports = ", ".join(f"{one['process']} {one['port']}" for one in result["listeners"])
    processes = {"cloud": found.pid} | {child.purpose: child.pid for child in children}
    shown = ", ".join(f"{name} {pid}" for name, pid in processes.items())
    report.table("environment local", {**result, "pids": shown, "listeners": open_ports})
    return result


def served(env: str) -> dict[str, Any]:
    """The endpoint of an environment, its status and the model package behind it."""
    return _served(aws_clients.clients(env), load(env).names(env).of(MODEL))


def _served(client: aws_clients.Clients, endpoint: str) -> dict[str, Any]:
    """The endpoint, its status and the model package behind it; Nones when there is none."""
    from botocore.exceptions import ClientError

    sagemaker = client("sagemaker")
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


def _tracking_url() -> str | None:
    path = home() / "local" / "mlflow.json"
    return json.loads(path.read_text())["url"] if path.exists() else None


def doctor(env: str, report: CommandOutput) -> dict[str, Any]:
    """What the environment needs on this machine, what is there, and how to get the rest."""
    checks = [_python_check(), *(_local_checks() if env == "local" else _cloud_checks(env))]
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

    load(env)
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


def compiled(pipeline: str, env: str) -> str:
    """The compiled definition of a pipeline for an environment."""
    from stacks.workload import definitions

    found = definitions(env, load(env))
    if pipeline not in found:
        raise UserError(f"pipeline must be one of {', '.join(found)}, got {pipeline!r}")
    return found[pipeline]


def variables(env: str) -> dict[str, str]:
    """Environment variables for plain `pulumi`, boto3, the AWS CLI and the SageMaker SDK."""
    if env != "local":
        raise UserError(
            f"environment must be local, got {env!r}: in {', '.join(environments())} others use "
            "your own credentials"
        )
    from stacks.local.daemon import client as session
    from stacks.local.daemon import environment

    found = session.find(home())
    if found is None:
        raise UserError("the local cloud must run, got none", fix="type `plinth up local`")
    local = environment.LocalEnvironment(home=home(), cloud=found)
    return local.shell()
