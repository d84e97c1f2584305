"""`plinth workload new` and `list`: one more model or set of features, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from infra.naming import REALTIME
from stacks.commands import status
from stacks.commands.output import CommandOutput
from stacks.paths import ROOT, shown
from stacks.settings.load import load_workload
from stacks.stack_name import FOUNDATION, StackName, stacks_of
from stacks.targets.target import target_of

if TYPE_CHECKING:
    from pipelines.scaffold import Kind

SECRETS = ("encryptionsalt:", "secretsprovider:", "encryptedkey:")
"""Lines of a stack's file that say how its secrets are kept: one key per environment."""

PIPELINES = {"classification": "training", "regression": "training", "features": "ingest"}

SERVED = """\
  plinth:endpoint:
    traffic_routing: ALL_AT_ONCE
    wait_interval_seconds: 0
    capture_percent: 20
"""


def new(
    name: str, kind: Kind, environments: Sequence[str], report: CommandOutput
) -> dict[str, Any]:
    """Write a workload that runs as it is: its package, a test, and a file per environment."""
    from pipelines.scaffold import render
    from pipelines.workload import check_name

    check_name(name)
    stacks = [StackName(env, name) for env in environments]
    for stack in stacks:
        stacks_of(stack.env)  # there is such an environment
        if stack.file.exists():
            raise UserError(f"{shown(stack.file)} is there already", fix="choose another name")
    written = [str(path) for path in render(name, kind, ROOT)]
    for stack in stacks:
        stack.file.write_text(environment_file(stack, kind))
        written.append(shown(stack.file))
    for path in written:
        report.say(path)
    report.say(f"next: plinth up {stacks[0]} · plinth run {stacks[0]}")
    return {"workload": name, "kind": kind, "files": written}


def environment_file(stack: StackName, kind: Kind) -> str:
    """The content of a new workload's file in an environment: the smallest that deploys."""
    platform = stack.sibling(FOUNDATION).file.read_text().splitlines()
    secrets = [line for line in platform if line.startswith(SECRETS)]
    lines = [
        f"# The workload {stack.layer} in this environment; a release changes this file alone.",
        *secrets,
        "config:",
        "  plinth:image:",
        f"    digest: {target_of(stack.env).new_image}",
        "  plinth:pipelines:",
        f"    {PIPELINES[kind]}:",
        "      max_runtime_seconds: 900",
        *([] if kind == "features" else SERVED.splitlines()),
        "  plinth:budget:",
        "    monthly_limit_usd: 20",
    ]
    return "\n".join(lines) + "\n"


def listed(env: str, report: CommandOutput) -> dict[str, Any]:
    """The workloads of an environment: who owns each, what it serves, how its last run ended."""
    target = target_of(env)
    found = {}
    for stack in (stack for stack in stacks_of(env) if stack.workload):
        settings = load_workload(stack)
        workload, names = settings.workload, settings.names
        row: dict[str, Any] = {
            "owner": workload.owner,
            "description": workload.description,
            "kind": workload.model.kind if workload.model else "features",
            "pinned": settings.endpoint.model_package_arn,
        }
        try:
            clients = target.clients(settings.environment.account.region)
        except UserError as error:
            row["unknown"] = error.problem
        else:
            pipelines = [names.of(pipeline) for pipeline in workload.pipelines]
            row["last_run"] = status.last_run(clients("sagemaker"), pipelines)
            if workload.model is not None:
                row |= status.served(clients, names.of(REALTIME))
        found[str(stack)] = row
        report.table(str(stack), row)
    return {"env": env, "workloads": found}
