"""`plinth preflight` and `verify`: run checks, show one line each, fail if one does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands import cloud
from stacks.home import home
from stacks.report import Report
from stacks.settings import Settings, load

if TYPE_CHECKING:
    from stacks.checks.check import Check, Clients, Finding, Platform, Status

LOCAL = "local"
MARKS: dict[Status, str] = {
    "pass": "[green]pass[/]",
    "fail": "[red]fail[/]",
    "unknown": "[yellow]unknown[/]",
}
FETCH_SECONDS = 10


def preflight(env: str, report: Report) -> dict[str, Any]:
    """What would stop a deployment of the environment, as far as it can be known now."""
    from stacks.checks.preflight import PREFLIGHT

    return _run("preflight", PREFLIGHT, _platform(env, load(env), report), report)


def _run(
    command: str, checks: Sequence[Check], platform: Platform, report: Report
) -> dict[str, Any]:
    from stacks.checks.check import examine

    with report.stage(command, f"{command} {platform.env}") as stage:
        findings = examine(platform, checks)
        counts = Counter(finding.status for finding in findings)
        stage.done = ", ".join(f"{counts[status]} {status}" for status in MARKS)
    _show(findings, report)
    result = {
        "env": platform.env,
        "ok": not counts["fail"],
        "counts": {status: counts[status] for status in MARKS},
        "findings": [asdict(finding) for finding in findings],
    }
    if counts["fail"]:
        raise CheckFailed(
            f"{command} {platform.env}: {counts['fail']} of {len(findings)} checks failed",
            fix="act on the fixes above",
            data=result,
        )
    return result


def _show(findings: Sequence[Finding], report: Report) -> None:
    """One line each; a failure says how to mend it."""
    from rich.markup import escape

    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        mark = MARKS[finding.status] + " " * (len("unknown") - len(finding.status))
        text = escape(f"{finding.subject}: {finding.message}")
        report.say(f"{mark} {finding.check:{width}} {text}")
        if finding.fix:
            report.say(f"{'':{width + 9}}fix: {escape(finding.fix)}")


def _platform(env: str, settings: Settings, report: Report) -> Platform:
    """What the environment asks for, and its clouds, each as far as it can be reached."""
    from stacks.checks.check import Platform, refuse
    from stacks.synth import synthesize
    from stacks.workload import definitions

    with report.stage("synth", f"mocked synth of {env}") as stage:
        resources = synthesize(env, settings, definitions(env, settings))
        stage.done = f"{len(resources)} resources"
    return Platform(
        env=env,
        settings=settings,
        resources=resources,
        clients=_clients(env, settings.account.region),
        fetch=refuse("the environment local uses no network") if env == LOCAL else _fetch,
        kubernetes=refuse("no Kubernetes API is asked before a deployment"),
    )


def _clients(env: str, region: str) -> Clients:
    """Clients of the environment's region, or a reason; the local cloud is started if need be."""
    from stacks.checks.check import refuse

    if env == LOCAL:
        from stacks.local import environment

        environment.start(home(), None, lambda text: None)
        return cloud.clients(env)
    try:
        client = cloud.clients(env)
    except UserError as error:
        return refuse(error.problem)
    return partial(client, region_name=region)  # type: ignore[call-arg] # boto3's takes it


def _fetch(url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    from stacks.checks.check import Unknowable

    try:
        with urlopen(Request(url, headers=dict(headers)), timeout=FETCH_SECONDS) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()
    except (URLError, TimeoutError) as error:
        raise Unknowable(f"no network to {url.split('/')[2]}: {error}") from None
