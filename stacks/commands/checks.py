"""`plinth preflight` and `verify`: ask checks of every stack, and fail if one of them does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput
from stacks.paths import shown
from stacks.settings.load import load
from stacks.settings.model import ClusterSettings, Settings
from stacks.stack_name import StackName, named, stacks_of
from stacks.targets.target import Target, target_of

if TYPE_CHECKING:
    from policies.data import Resource
    from stacks.checks.check import Check, CheckResult, Clients, Platform, Status
    from stacks.checks.newer_pins import Look

MARKS: dict[Status, str] = {
    "pass": "[green]pass[/]",
    "fail": "[red]fail[/]",
    "unknown": "[yellow]unknown[/]",
}


def preflight(name: str, report: CommandOutput) -> dict[str, Any]:
    """What would stop a deployment of a stack, or of all of an environment, as far as one can know.

    What its stacks share, such as quotas, is added up over the environment in any case.
    """
    from stacks.checks.preflight import PREFLIGHT

    stacks = named(name)
    env = stacks[0].env
    target = target_of(env)
    if target.can_deploy():
        try:
            target.start(report)
        except UserError as error:
            report.note(f"a deployment does not start yet: {error}")
    settings = {stack: load(stack) for stack in stacks_of(env)}
    return _examined("preflight", name, PREFLIGHT, _platforms(settings, target, report), report)


def check_pins(name: str, report: CommandOutput) -> dict[str, Any]:
    """Whether the pinned versions are supported, looked after and, with credentials, offered."""
    from stacks.checks.preflight import PINS

    target = target_of(named(name)[0].env)
    settings = {stack: load(stack) for stack in named(name)}
    return _examined("pins", name, PINS, _platforms(settings, target, report), report)


def list_pins(name: str, report: CommandOutput) -> dict[str, Any]:
    """Every version of the table, and what the files of an environment take instead."""
    from stacks.pins.table import pins

    table, chosen = pins(), _chosen(name)
    rows = []
    for pin_name, pin in table.pins.items():
        taken = chosen.get(pin_name, pin.version)
        when = f"released {pin.released}" if pin.released else f"looked at {pin.as_of}"
        other = "" if taken == pin.version else f" (here {taken})"
        report.say(f"{pin_name:<32} {pin.version}{other}  {when}  {pin.source}")
        rows.append({"name": pin_name, **asdict(pin), "taken": taken})
    return {"name": name, "pins": rows}


def update_pins(name: str, report: CommandOutput) -> dict[str, Any]:
    """Ask the account and the charts' repositories, and write what is newer into the table."""
    from datetime import date

    from stacks.checks import newer_pins
    from stacks.checks.check import Unanswered, attempt
    from stacks.pins.table import FILE, pins

    env = named(name)[0].env
    target = target_of(env)
    if target.on_this_machine:
        raise UserError(
            f"pins {name} --update must ask an account, {env} has nobody who offers versions",
            fix="name an environment that lives in an account",
        )
    settings = {stack: load(stack) for stack in stacks_of(env)}
    platform = next(iter(_platforms(settings, target, report).values()))
    with report.stage("pins", "ask for newer versions") as stage:
        found = list(newer_pins.looks(platform, pins()))
        supports = attempt(lambda: newer_pins.calendar(platform))
        asked = [look for look in found if look.newest is not None]
        stage.done = f"{len(asked)} of {len(found)} answered"
    for look in found:
        report.say(f"{look.name:<32} {_looked_at(look)}")
    if not asked:
        raise CheckFailed(
            f"pins {name} --update: nobody could be asked, the table is as it was",
            fix="type it with credentials of the account and a network",
            data={"name": name, "pins": [asdict(look) for look in found]},
        )
    newer_pins.write(found, {} if isinstance(supports, Unanswered) else supports, date.today())
    report.say(f"{shown(FILE)} is written: review it with `plinth preview`, then commit it")
    return {"name": name, "pins": [asdict(look) for look in found]}


def _looked_at(look: Look) -> str:
    if look.newest is None:
        return f"{look.version} kept: {look.note}"
    newer = "is the newest" if look.newest == look.version else f"-> {look.newest}"
    return f"{look.version} {newer}" + (f" ({look.note})" if look.note else "")


def _chosen(name: str) -> dict[str, str]:
    """Versions that the cluster's file names, by their names in the table."""
    found: dict[str, str] = {}
    for stack in named(name):
        settings = load(stack)
        if isinstance(settings, ClusterSettings):
            cluster = settings.cluster
            found = {
                "kubernetes": cluster.version,
                "ami/al2023": cluster.system_release_version,
                "chart/karpenter": settings.karpenter.version,
                "chart/kueue": settings.queues.kueue_version or "none",
                **{f"addon/{addon}": version for addon, version in cluster.addons.items()},
            }
    return found


def verify(name: str, report: CommandOutput) -> dict[str, Any]:
    """Whether what is deployed is what the files say, asked of the clouds."""
    from stacks.checks.verify import VERIFY

    stacks = named(name)
    target = target_of(stacks[0].env)
    settings = {stack: load(stack) for stack in stacks}
    # without an environment to look at there is nothing to verify
    target.clients(settings[stacks[0]].environment.account.region)
    there = {stack: target.deployable(wanted, report) for stack, wanted in settings.items()}
    return _examined("verify", name, VERIFY, _platforms(there, target, report), report)


def _examined(
    command: str,
    name: str,
    checks: Sequence[Check],
    platforms: Mapping[StackName, Platform],
    report: CommandOutput,
) -> dict[str, Any]:
    """Ask every check of every stack that was named; CheckFailed if one fails."""
    stacks: dict[str, Any] = {}
    total: Counter[str] = Counter()
    for number, stack in enumerate(named(name)):
        asked = [check for check in checks if not (check.once and number)]
        findings = _findings(command, platforms[stack], asked, report)
        counts: Counter[str] = Counter(finding.status for finding in findings)
        total.update(counts)
        stacks[str(stack)] = {
            **_verdict(counts),
            "findings": [asdict(finding) for finding in findings],
        }
    env = next(iter(platforms)).env
    result = {"name": name, "env": env, **_verdict(total), "stacks": stacks}
    if total["fail"]:
        raise CheckFailed(
            f"{command} {name}: {total['fail']} of {total.total()} checks failed",
            fix="act on the fixes above",
            data=result,
        )
    return result


def _verdict(counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "ok": not counts.get("fail"),
        "counts": {status: counts.get(status, 0) for status in MARKS},
    }


def _findings(
    command: str, platform: Platform, checks: Sequence[Check], report: CommandOutput
) -> list[CheckResult]:
    """The findings of one stack, shown as one group."""
    from stacks.checks.check import examine

    with report.stage(command, f"{command} {platform.stack}") as stage:
        findings = examine(platform, checks)
        counts = Counter(finding.status for finding in findings)
        stage.done = ", ".join(f"{counts[status]} {status}" for status in MARKS)
    _show(platform.stack, findings, report)
    return findings


def _show(stack: StackName, findings: Sequence[CheckResult], report: CommandOutput) -> None:
    """One line each; a failure says how to mend it."""
    from rich.markup import escape

    report.say(f"[bold]{stack}[/]")
    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        mark = MARKS[finding.status] + " " * (len("unknown") - len(finding.status))
        text = escape(f"{finding.subject}: {finding.message}")
        report.say(f"  {mark} {finding.check:{width}} {text}")
        if finding.fix:
            report.say(f"{'':{width + 11}}fix: {escape(finding.fix)}")


def _platforms(
    settings: Mapping[StackName, Settings], target: Target, report: CommandOutput
) -> dict[StackName, Platform]:
    """What each stack asks for, and its clouds, each as far as it can be reached."""
    from stacks.checks.check import Platform

    synths = _synths(settings, target.env, report)
    environment = next(iter(settings.values())).environment
    region, names = environment.account.region, environment.names
    clients = _clients(target, region)

    def plain_http(service: str) -> Any:
        return target.plain_http(region)(service)

    return {
        stack: Platform(
            stack=stack,
            settings=chosen,
            resources=synths[stack],
            environment=synths,
            clients=clients,
            fetch=target.fetch,
            plain_http=plain_http,
            machine=lambda: [(n.what, n.ok, n.got, n.fix) for n in target.needs()],
            kubernetes=lambda: target.kubernetes(clients, names),
        )
        for stack, chosen in settings.items()
    }


def _synths(
    settings: Mapping[StackName, Settings], env: str, report: CommandOutput
) -> dict[StackName, list[Resource]]:
    """What every stack registers."""
    from stacks.definitions import definitions
    from stacks.synth import synthesize

    with report.stage("synth", f"mocked synth of {env}") as stage:
        with ThreadPoolExecutor() as pool:  # each set of definitions is compiled by a process
            compiled = dict(zip(settings, pool.map(definitions, settings.values()), strict=True))
        found = {
            stack: synthesize(stack, chosen, compiled[stack]) for stack, chosen in settings.items()
        }
        count = sum(map(len, found.values()))
        stage.done = f"{count} resources in {len(found)} stacks"
    return found


def _clients(target: Target, region: str) -> Clients:
    """Clients of the environment's region, or the reason why there are none."""
    from stacks.checks.check import refuse

    try:
        return target.clients(region)
    except UserError as error:
        return refuse(error.problem)
