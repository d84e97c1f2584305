"""What an account has one of, and somebody else may have made already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.naming import GITHUB
from stacks.checks.check import CheckResult, Platform, failed, passed

MONITOR = "aws:costexplorer/anomalyMonitor:AnomalyMonitor"
RECORDER = "aws:cfg/recorder:Recorder"
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ID = "one per account"


def check(platform: Platform) -> Iterator[CheckResult]:
    """Monitor of all services, recorder of AWS Config, GitHub's provider: none of somebody else."""
    yield from _monitor(platform)
    yield from _recorder(platform)
    yield from _provider(platform)


def _monitor(platform: Platform) -> Iterator[CheckResult]:
    for wanted in platform.of_type(MONITOR):
        answer = platform.clients("ce").get_anomaly_monitors()["AnomalyMonitors"]
        others = [
            one["MonitorArn"]
            for one in answer
            if one.get("MonitorDimension") == "SERVICE"
            and one["MonitorName"] != wanted.inputs.get("name")
        ]
        yield _verdict(
            "monitor of all services",
            others,
            "set plinth:cost.anomaly_monitor_arn of the foundation to it, or delete it",
        )


def _recorder(platform: Platform) -> Iterator[CheckResult]:
    for wanted in platform.of_type(RECORDER):
        answer = platform.clients("config").describe_configuration_recorders()
        others = [
            one["name"]
            for one in answer["ConfigurationRecorders"]
            if one["name"] != wanted.inputs.get("name")
        ]
        yield _verdict(
            "recorder of AWS Config in this region",
            others,
            "set plinth:audit.create_config_recorder of the foundation to false, or delete it",
        )


def _provider(platform: Platform) -> Iterator[CheckResult]:
    iam = None
    for _ in platform.of_type(PROVIDER):
        iam = iam or platform.clients("iam")
        found = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        arns = [one["Arn"] for one in found if one["Arn"].endswith(f"/{GITHUB}")]
        others = [arn for arn in arns if not _is_ours(platform, iam, arn)]
        yield _verdict(
            "OIDC provider of GitHub",
            others,
            "set plinth:access.github.create_provider of the foundation to false",
        )


def _is_ours(platform: Platform, iam: Any, arn: str) -> bool:
    answer: Mapping[str, Any] = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    tags = {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}
    return (tags.get("project"), tags.get("environment")) == ("plinth", platform.env)


def _verdict(what: str, others: list[str], fix: str) -> CheckResult:
    if others:
        return failed(
            ID, what, f"an account has one, and this one has it: {', '.join(others)}", fix
        )
    return passed(ID, what, "there is none of somebody else")
