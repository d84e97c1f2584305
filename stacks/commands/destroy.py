"""`plinth destroy`: guards first, then an order that finishes, then what the services left.

Stacks go backwards: workloads, cluster, foundation. Pods, node claims and pools go while Kubernetes
still runs; the engine then deletes the rest against its dependencies, while interfaces that come
free are released; log groups come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from infra.naming import MODEL_GROUP
from stacks.commands.output import CommandOutput
from stacks.paths import shown
from stacks.settings.load import dependencies, load
from stacks.settings.model import (
    ClusterSettings,
    FoundationSettings,
    Settings,
    WorkloadSettings,
)
from stacks.stack_name import FOUNDATION, StackName, environment_file, named, stacks_of
from stacks.targets import aws_clients
from stacks.targets.aws_clients import Clients
from stacks.targets.side_by_side import side_by_side, total
from stacks.targets.target import Target, target_of
from stacks.targets.work import run_engine, summarized

if TYPE_CHECKING:
    from stacks.targets.engine import Changes, Stack


def destroy(
    name: str, report: CommandOutput, *, confirmed: str | None, data: bool, wait: bool = False
) -> dict[str, Any]:
    """Delete a stack, or all stacks of an environment backwards and then, locally, the cloud.

    `wait` for others who change the same stacks.
    """
    stacks = named(name)
    target = target_of(stacks[0].env)
    target.wait = wait
    settings = {stack: load(stack) for stack in stacks}
    check_confirmed(name, settings[stacks[0]], target, confirmed, data)
    with target.ending(report) if "." not in name else nullcontext():
        return _destroyed(name, settings, target, report)


def _destroyed(
    name: str, settings: Mapping[StackName, Settings], target: Target, report: CommandOutput
) -> dict[str, Any]:
    target.start(report)
    lost = _lost(name, tuple(settings), target, report)
    stacks = tuple(stack for stack in settings if stack not in lost)
    if not lost:
        check_unused(stacks, target, report)
    above = {stack: _above(stack, stacks) for stack in stacks}
    done = side_by_side(
        tuple(reversed(stacks)),
        above,
        lambda stack: summarized(stack, _delete(stack, settings[stack], target, report)),
    )
    left = target.end(report) if "." not in name else []
    changes = total(list(done.values()), "changes")
    report.say(f"{name}: {changes['delete']} resources deleted")
    return {
        "name": name,
        "env": target.env,
        "stacks": {str(stack): said for stack, said in done.items()},
        "changes": changes,
        "left": left,
        "seconds": report.seconds,
    }


def _lost(
    name: str, stacks: Sequence[StackName], target: Target, report: CommandOutput
) -> list[StackName]:
    """Stacks that no engine can delete, because their state is damaged, and that go all the same.

    On one machine everything goes with its cloud.
    """
    if "." in name or not target.on_this_machine:
        return []
    damage = {stack: target.state_of(stack).damage for stack in stacks}
    for stack, what in damage.items():
        if what:
            report.note(f"the state of {stack} is {what}: what it lists goes with the cloud")
    return [stack for stack, what in damage.items() if what]


def check_confirmed(
    name: str, settings: Settings, target: Target, confirmed: str | None, data: bool
) -> None:
    """Refuse what was not meant; UserError says what to type."""
    env = settings.environment.name
    wanted = name if target.confirmation else ""
    if settings.environment.protect and not data:
        raise UserError(
            f"environment {env} must not be protected to be destroyed, got protect: true",
            fix=f"set protect to false in {shown(environment_file(env))}, then `plinth up {env}`; "
            f"or delete its data too: `plinth destroy {name} --data --yes {name}`",
        )
    if confirmed is None:
        raise UserError(
            f"destroying {name} deletes its data, models and endpoints and must be confirmed",
            fix=f"type `plinth destroy {name} --yes {wanted}`".replace(" `", "`").rstrip(),
        )
    if confirmed not in {name, wanted}:
        raise UserError(
            f"--yes must be followed by the name of what is destroyed, {name}, got {confirmed!r}",
            fix=f"type `plinth destroy {name} --yes {name}` if you mean it",
        )


def _above(stack: StackName, stacks: Sequence[StackName]) -> tuple[StackName, ...]:
    """The stacks that read what this one offers."""
    return tuple(other for other in stacks if stack in dependencies(other))


def check_unused(stacks: Sequence[StackName], target: Target, report: CommandOutput) -> None:
    """Refuse to take away what other stacks stand on, one whose file is gone among them."""
    lowest = stacks[0]
    if lowest.workload:
        return
    known = {str(stack): stack for stack in stacks_of(lowest.env)}
    above = [str(stack) for stack in _above(lowest, list(known.values())) if stack not in stacks]
    standing = [
        name
        for name in target.engine(lowest, report).standing()
        if name in above
        or (lowest.layer == FOUNDATION and name.startswith(f"{lowest.env}.") and name not in known)
    ]
    if standing:
        last = StackName.parse(standing[-1])
        again = f" {last}" if target.confirmation else ""
        lost = "" if str(last) in known else f"bring back {shown(last.file)} and "
        raise UserError(
            f"{lowest} must carry no other stack to be destroyed, got {', '.join(standing)}",
            fix=f"{lost}type `plinth destroy {last} --yes{again}` first",
        )


def _delete(stack: StackName, settings: Settings, target: Target, report: CommandOutput) -> Changes:
    with target.writing(stack, report) as engine:
        return _delete_with(engine, stack, settings, target, report)


def _delete_with(
    engine: Stack, stack: StackName, settings: Settings, target: Target, report: CommandOutput
) -> Changes:
    clients = target.clients(settings.environment.account.region)
    if settings.environment.protect:
        _unprotect(stack, settings, engine, report)
    match settings:
        case FoundationSettings():
            return _delete_foundation(settings, engine, clients, report)
        case ClusterSettings():
            _drain(settings, target, clients, report)
        case WorkloadSettings():
            _stop_working(settings, clients)
    changes = run_engine("destroy", engine, lambda: None, report)
    _delete_log_groups(settings, clients, report)
    return changes


def _delete_foundation(
    settings: FoundationSettings, engine: Stack, clients: Clients, report: CommandOutput
) -> Changes:
    from stacks.targets import leftovers

    resources = engine.deployment().get("resources") or []
    vpcs = [one["id"] for one in resources if one["type"] == "aws:ec2/vpc:Vpc" and "id" in one]
    what = leftovers.owned(clients, settings.names, vpcs)
    with leftovers.releasing(clients, what, report.note) as released:
        changes = run_engine("destroy", engine, lambda: None, report)
    if released:
        report.note(f"deleted {len(released)} things that held the VPC: {', '.join(released)}")
    return changes


def _delete_log_groups(settings: Settings, clients: Clients, report: CommandOutput) -> None:
    from stacks.targets import leftovers

    for name in leftovers.delete_log_groups(clients, settings):
        report.note(f"deleted log group {name}, which its service had written once more")


def _stop_working(settings: WorkloadSettings, clients: Clients) -> None:
    """SageMaker deletes no pipeline that runs, and no group that holds packages."""
    names, workload = settings.names, settings.workload
    pipelines = [names.of(pipeline) for pipeline in workload.pipelines]
    aws_clients.stop_executions(clients, pipelines)
    if workload.model is not None:
        aws_clients.delete_model_packages(clients, names.of(MODEL_GROUP))


def _unprotect(stack: StackName, settings: Settings, engine: Stack, report: CommandOutput) -> None:
    """Take the protection off everything by an update, the only way that reaches AWS too.

    Without the policy pack, which rightly wants data to be protected.
    """
    from stacks.definitions import definitions
    from stacks.program import deploy

    environment = settings.environment.model_copy(update={"protect": False})
    free = settings.model_copy(update={"environment": environment})
    compiled = definitions(free)
    unguarded = replace(engine, policy_pack=None)
    run_engine("up", unguarded, lambda: deploy(stack, free, compiled), report)


def _drain(
    settings: ClusterSettings, target: Target, clients: Clients, report: CommandOutput
) -> None:
    from stacks.checks.check import Unanswered, attempt
    from stacks.targets.drain import drain

    client = attempt(lambda: target.kubernetes(clients, settings.names))
    if isinstance(client, Unanswered):
        report.note(f"workloads and nodes of Karpenter were not drained: {client.reason}")
        return
    with report.stage("drain", "drain the cluster") as stage:
        ended = drain(client, stage.say)
        stage.done = ", ".join(f"{count} {kind}" for kind, count in ended.items()) or "nothing runs"
