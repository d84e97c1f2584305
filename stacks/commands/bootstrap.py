"""`plinth bootstrap`: what must exist in an account before its first stack, made once."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infra.errors import CheckFailed, UserError
from infra.naming import Names
from stacks.bootstrap.need import Need
from stacks.commands.output import CommandOutput
from stacks.paths import shown
from stacks.settings.load import load_environment
from stacks.settings.pin import write_backend_url
from stacks.stack_name import environment_file, stacks_of
from stacks.targets.aws_clients import Clients
from stacks.targets.state_place import backend_url
from stacks.targets.target import Target, target_of


def bootstrap(
    env: str, report: CommandOutput, *, dry_run: bool = False, yes: bool = False
) -> dict[str, Any]:
    """Say what is missing, ask, make it, look again; what is there already is left as it is."""
    from stacks.bootstrap.account import needs

    target, names, clients = _reached(env, report)
    with report.stage("look", f"look into account {names.account_id}"):
        wanted = needs(env, clients)
        missing = {need.name: need.missing() for need in wanted}
    _show(wanted, missing, report)
    todo = [need for need in wanted if missing[need.name]]
    result = {
        "env": env,
        "account_id": names.account_id,
        "dry_run": dry_run,
        "needs": [
            {"name": need.name, "why": need.why, "missing": missing[need.name]} for need in wanted
        ],
        "made": [need.name for need in todo if not dry_run],
        "backend_url": backend_url(names),
    }
    if dry_run:
        return result
    if todo:
        _ask(f"make these in account {names.account_id}", f"plinth bootstrap {env} --yes", yes)
    for need in todo:
        with report.stage("make", need.name):
            need.make()
            if left := need.missing():
                raise CheckFailed(
                    f"{need.name} must be as it was just made, got {', '.join(left)}",
                    fix=f"type `plinth bootstrap {env}` again; it goes on where it ended",
                    data=result,
                )
    if not target.on_this_machine:
        write_backend_url(env, backend_url(names))
    _say_next(env, target, report)
    return result


def _say_next(env: str, target: Target, report: CommandOutput) -> None:
    if target.on_this_machine:
        report.say(f"{env} keeps its state in files; the bucket is there to try the command")
        return
    report.say(f"{shown(environment_file(env))} names the bucket: commit it")
    report.say(
        f"next: plinth preflight {env} · plinth up {env}.foundation (by an administrator of the "
        "account: it makes the deployers' roles) · commit the `encryptedkey` that Pulumi writes "
        "into the file of every stack"
    )


def undo(env: str, report: CommandOutput, *, confirmed: str | None) -> dict[str, Any]:
    """Delete bucket and key; refused while there are stacks, for then nobody could delete those."""
    from stacks.bootstrap.account import needs
    from stacks.bootstrap.bucket import stacks_in

    target, names, clients = _reached(env, report)
    counted = [str(s) for s in stacks_of(env) if target.resource_counts().get(str(s))]
    if standing := sorted({*counted, *stacks_in(clients("s3"), names.bucket("state"))}):
        raise UserError(
            f"{env} must have no stacks, got {', '.join(standing)}",
            fix=f"type `plinth destroy {env} --yes {target.confirmation}".rstrip() + "` first",
        )
    if confirmed != env:
        raise UserError(
            f"deleting where {env} keeps its state must be confirmed by its name, "
            f"got {confirmed!r}",
            fix=f"type `plinth bootstrap {env} --undo {env}`",
        )
    done = {}
    # backwards: the bucket is encrypted with the key
    for need in reversed(needs(env, clients)):
        if need.delete is not None:
            done[need.name] = need.delete()
        else:
            done[need.name] = "stays: others of the account may use it"
    report.table(f"account {names.account_id}", done)
    if not target.on_this_machine:
        write_backend_url(env, None)
    return {"env": env, "account_id": names.account_id, "deleted": done}


def _reached(env: str, report: CommandOutput) -> tuple[Target, Names, Clients]:
    """The place, its names and its clients, once it is known to be the right account."""
    from stacks.targets.account import check_account

    environment, target = load_environment(env), target_of(env)
    if target.on_this_machine:
        target.start(report)
    clients = target.clients(environment.account.region)
    check_account(env, environment.account.account_id, clients)
    return target, environment.names, clients


def _show(
    wanted: Sequence[Need], missing: Mapping[str, Sequence[str]], report: CommandOutput
) -> None:
    for need in wanted:
        found = missing[need.name]
        state = f"[yellow]{', '.join(found)}[/]" if found else "[green]is there[/]"
        report.say(f"{need.name}: {state}")
        report.say(f"  {need.why}")


def _ask(what: str, otherwise: str, yes: bool) -> None:
    """UserError unless a person agrees."""
    if yes:
        return
    if sys.stdin.isatty():
        import click

        if click.confirm(what):
            return
    raise UserError(f"{what}: must be agreed to", fix=f"type `{otherwise}`")
