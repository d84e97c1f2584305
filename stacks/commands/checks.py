"""`plinth preflight` and `verify`: run checks, show one line each, fail if one does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from infra.naming import Names
from stacks.commands import deploy
from stacks.commands.output import CommandOutput
from stacks.paths import home
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.targets import aws_clients

if TYPE_CHECKING:
    from stacks.checks.check import Check, CheckResult, Clients, Platform, Status

LOCAL = "local"
MARKS: dict[Status, str] = {
    "pass": "[green]pass[/]",
    "fail": "[red]fail[/]",
    "unknown": "[yellow]unknown[/]",
}
FETCH_SECONDS = 10


def preflight(env: str, report: CommandOutput) -> dict[str, Any]:
    """What would stop a deployment of the environment, as far as it can be known now."""
    from stacks.checks.preflight import PREFLIGHT

    return _run("preflight", PREFLIGHT, _platform(env, load(env), report), report)


def verify(env: str, report: CommandOutput) -> dict[str, Any]:
    """Whether what is deployed is what the environment's file says, asked of the clouds."""
    from stacks.checks.verify import VERIFY

    aws_clients.clients(env)  # without an environment to look at there is nothing to verify
    settings = load(env)
    if env == LOCAL:
        settings = deploy.without_lost_package(settings, report)
    return _run("verify", VERIFY, _platform(env, settings, report), report)


def _run(
    command: str, checks: Sequence[Check], platform: Platform, report: CommandOutput
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


def _show(findings: Sequence[CheckResult], report: CommandOutput) -> None:
    """One line each; a failure says how to mend it."""
    from rich.markup import escape

    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        mark = MARKS[finding.status] + " " * (len("unknown") - len(finding.status))
        text = escape(f"{finding.subject}: {finding.message}")
        report.say(f"{mark} {finding.check:{width}} {text}")
        if finding.fix:
            report.say(f"{'':{width + 9}}fix: {escape(finding.fix)}")


def _platform(env: str, settings: Settings, report: CommandOutput) -> Platform:
    """What the environment asks for, and its clouds, each as far as it can be reached."""
    from stacks.checks.check import Platform, refuse
    from stacks.synth import synthesize
    from stacks.workload import definitions

    with report.stage("synth", f"mocked synth of {env}") as stage:
        resources = synthesize(env, settings, definitions(env, settings))
        stage.done = f"{len(resources)} resources"
    region = settings.account.region
    clients = _clients(env, region)
    return Platform(
        env=env,
        settings=settings,
        resources=resources,
        clients=clients,
        fetch=refuse("the environment local uses no network") if env == LOCAL else _fetch,
        plain_http=refuse("the local endpoint has no TLS") if env == LOCAL else _plain_http(region),
        kubernetes=partial(kubernetes_client, env, clients, settings.names(env)),
    )


def _clients(env: str, region: str) -> Clients:
    """Clients of the environment's region, or a reason; the local cloud is started if need be."""
    from stacks.checks.check import refuse

    if env == LOCAL:
        from stacks.local.daemon import environment

        environment.start(home(), None, lambda text: None)
        return aws_clients.clients(env)
    try:
        return aws_clients.regional(env, region)
    except UserError as error:
        return refuse(error.problem)


def _plain_http(region: str) -> Clients:
    import boto3

    return partial(boto3.Session().client, region_name=region, use_ssl=False)


def kubernetes_client(env: str, clients: Clients, names: Names) -> Any:
    """A client of the cluster's API server; Unknowable where it cannot be reached."""
    import httpx2
    from lightkube import Client, KubeConfig
    from lightkube.resources.core_v1 import Namespace

    from stacks.checks.check import Unknowable

    if env == LOCAL:
        path = home() / LOCAL / "kubernetes" / "kubeconfig"
        if not path.exists():
            raise Unknowable("no control plane runs behind the local cluster")
        config = KubeConfig.from_file(path)
    else:
        from infra.cluster import client_config

        found = clients("eks").describe_cluster(name=names.of("cluster"))["cluster"]
        authority = found["certificateAuthority"]["data"]
        config = KubeConfig.from_dict(
            client_config(found["name"], found["endpoint"], authority, names.region)
        )
    client: Any = Client(config=config, timeout=httpx2.Timeout(FETCH_SECONDS), trust_env=False)
    try:
        client.get(Namespace, "kube-system")
    except (httpx2.HTTPError, OSError) as error:
        raise Unknowable(f"its API server cannot be reached from here: {error}") from None
    return client


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
