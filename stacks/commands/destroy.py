"""`plinth destroy`: guards first, then an order that finishes, then what the services left.

Workloads, node claims and pools go while Kubernetes still runs; the engine then deletes the rest
against its dependencies, while interfaces that come free are released; log groups come last.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.commands import cloud, deploy
from stacks.commands.output import Report
from stacks.paths import home
from stacks.settings import Settings, load
from stacks.workload import MODEL, PIPELINE

if TYPE_CHECKING:
    from stacks.targets.engine import Changes, Stack

LOCAL = deploy.LOCAL


def destroy(env: str, report: Report, *, confirmed: str | None, data: bool) -> dict[str, Any]:
    """Delete everything of an environment; locally, the cloud's processes too."""
    settings = load(env)
    check_confirmed(env, settings, confirmed, data)
    if env == LOCAL:
        return _destroy_local(settings, report)
    stack = deploy.cloud_stack(env)
    changes = _delete(env, settings, stack, report)
    return deploy.summarized(env, changes, report)


def check_confirmed(env: str, settings: Settings, confirmed: str | None, data: bool) -> None:
    """Refuse what was not meant; UserError says what to type."""
    if settings.protect and not data:
        raise UserError(
            f"environment {env} must not be protected to be destroyed, got protect: true",
            fix=f"set plinth:protect to false in stacks/Pulumi.{env}.yaml, then `plinth up {env}`; "
            f"or delete its data too: `plinth destroy {env} --data --yes {env}`",
        )
    if confirmed is None:
        raise UserError(
            f"destroying {env} deletes its data, models and endpoints and must be confirmed",
            fix=f"type `plinth destroy {env} --yes{'' if env == LOCAL else f' {env}'}`",
        )
    if confirmed != env and not (env == LOCAL and confirmed == ""):
        raise UserError(
            f"--yes must be followed by the name of what is destroyed, {env}, got {confirmed!r}",
            fix=f"type `plinth destroy {env} --yes {env}` if you mean it",
        )


def check_account(env: str, settings: Settings, clients: cloud.Clients) -> None:
    """Refuse to delete with the credentials of another account."""
    got, wanted = clients("sts").get_caller_identity()["Account"], settings.account.account_id
    if got != wanted:
        raise UserError(
            f"credentials must be of account {wanted}, where {env} lives, got {got}",
            fix=f"log in to account {wanted}",
        )


def _delete(env: str, settings: Settings, stack: Stack, report: Report) -> Changes:
    from stacks.commands import sweep

    names = settings.names(env)
    clients = cloud.regional(env, names.region)
    check_account(env, settings, clients)
    what = sweep.owned(clients, names)
    if settings.protect:
        _unprotect(env, settings, stack, report)
    cloud.stop_executions(clients, [names.of(pipeline) for pipeline in (PIPELINE,)])
    cloud.delete_model_packages(clients, names.of(MODEL))
    _drain(env, settings, clients, report)
    with sweep.releasing(clients, what, report.note) as released:
        changes = deploy.run_engine("destroy", stack, lambda: None, report)
    if released:
        report.note(f"deleted {len(released)} things that held the VPC: {', '.join(released)}")
    for name in sweep.delete_log_groups(clients, names):
        report.note(f"deleted log group {name}, which its service had written once more")
    return changes


def _unprotect(env: str, settings: Settings, stack: Stack, report: Report) -> None:
    """Take the protection off everything by an update, the only way that reaches AWS too.

    Without the policy pack, which rightly wants data to be protected.
    """
    from stacks.program import deploy as program
    from stacks.workload import definitions

    free = settings.model_copy(update={"protect": False})
    compiled = definitions(env, free)
    unguarded = replace(stack, policy_pack=None)
    deploy.run_engine("up", unguarded, lambda: program(env, free, compiled), report)


def _drain(env: str, settings: Settings, clients: cloud.Clients, report: Report) -> None:
    from stacks.checks.check import Unanswered, attempt
    from stacks.commands.checks import kubernetes_client
    from stacks.targets.drain import drain

    names = settings.names(env)
    client = attempt(lambda: kubernetes_client(env, clients, names))
    if isinstance(client, Unanswered):
        report.note(f"workloads and nodes of Karpenter were not drained: {client.reason}")
        return
    with report.stage("drain", "drain the cluster") as stage:
        ended = drain(client, stage.say)
        stage.done = ", ".join(f"{count} {kind}" for kind, count in ended.items()) or "nothing runs"


def _destroy_local(settings: Settings, report: Report) -> dict[str, Any]:
    from stacks.local import environment, session
    from stacks.targets.engine import Changes

    folder = home()
    left: list[str] = []
    changes = Changes()
    if session.find(folder) is not None:
        with report.stage("cloud", "local cloud") as stage:
            local = environment.start(folder, None, stage.say)
            environment.clear_dead_lock(folder, stage.say)
        stack = deploy.local_stack(local, report)
        if environment.has_pending_operations(folder):
            stack.drop_pending_operations()
        changes = _delete(LOCAL, settings, stack, report)
        left = cloud.leftovers(cloud.clients(LOCAL))
    with report.stage("stop", "stop the local cloud"):
        session.stop(folder)
    if left:
        report.note(f"{len(left)} things unknown to the state went with the cloud: {left}")
    environment.mended(folder)
    for name in ("state", "state-of-a-lost-cloud"):
        shutil.rmtree(folder / LOCAL / name, ignore_errors=True)
    report.say(f"{LOCAL}: {changes.counts['delete']} resources deleted, no process left")
    return {**deploy.summarized(LOCAL, changes, report), "left": left}
