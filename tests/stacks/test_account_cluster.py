"""Who reaches the cluster of an account, who is let in, and how old its pins are."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.errors import UserError
from policies.data import Resource
from stacks.checks import (
    cluster_access,
    support,
)
from stacks.checks.account import check_machine
from stacks.checks.check import CheckResult
from stacks.cli import cli
from stacks.commands.output import CommandOutput
from stacks.pins.table import pins
from stacks.settings.load import load
from stacks.stack_name import StackName
from stacks.targets import work
from stacks.targets.account import AccountTarget
from stacks.targets.engine import Changes
from stacks.targets.machine import of_account
from stacks.targets.work import Work
from tests.kits.checks import Script, stubbed
from tests.kits.faults import asked, edited, told, with_inputs
from tests.kits.stacks import changed, synth

# -- F1, F2: who reaches the cluster, and is let in ------------------------------------------------


def test_a_private_cluster_without_a_runner_is_refused_by_its_settings(tmp_path: Path) -> None:
    """As the files were: no address, and nothing in the VPC that deploys."""
    staging, told_of = "Pulumi.staging.foundation.yaml", "got neither public_access_cidrs nor a"
    line = "  plinth:runner: {} # deploys the cluster from inside the VPC\n"
    with pytest.raises(UserError, match=told_of):
        load(StackName.parse("staging.cluster"), edited(tmp_path / "a", staging, line, ""))
    cidrs = "    public_access_cidrs: [203.0.113.7/32] # addresses that you deploy from\n"
    folder = edited(tmp_path / "b", "Pulumi.dev.cluster.yaml", cidrs, "")
    with pytest.raises(UserError, match=told_of):
        load(StackName.parse("dev.cluster"), folder)


def test_a_runner_needs_a_way_out(tmp_path: Path) -> None:
    file = "Pulumi.staging.foundation.yaml"
    folder = edited(tmp_path, file, "nat_gateways: one-per-az", "nat_gateways: none")
    with pytest.raises(UserError, match="runner must have a way to package registries"):
        load(StackName.parse("staging.foundation"), folder)


def from_address(address: str) -> Callable[..., Any]:
    return lambda *_: (200, {}, f"{address}\n".encode())


@pytest.mark.parametrize(
    ("stack", "address", "status", "message"),
    [
        ("dev.cluster", "203.0.113.7", "pass", "lets 203.0.113.7 in"),
        ("dev.cluster", "198.51.100.1", "fail", "lets 203.0.113.7/32 in"),
        ("prod.cluster", "203.0.113.7", "fail", "must be reached from here, is private"),
    ],
)
def test_the_api_is_reached_from_where_one_deploys(
    stack: str, address: str, status: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [found] = asked(cluster_access.check_reach, stack, fetch=from_address(address))
    assert found.status == status and message in found.message
    monkeypatch.setenv(cluster_access.IN_A_RUNNER, "arn:aws:codebuild:us-east-1:1:build/b")
    [inside] = asked(cluster_access.check_reach, stack, fetch=from_address(address))
    assert inside.status == "pass"


def test_an_unknown_address_is_unknown() -> None:
    assert [one.status for one in asked(cluster_access.check_reach, "dev.cluster")] == ["unknown"]


SSO = "aws-reserved/sso.amazonaws.com/eu-west-1"
SSO_ROLE = "AWSReservedSSO_Admin_0123456789abcdef"


def calls_as(role: str, path: str = "/", times: int = 1) -> Script:
    """STS names a session without the path of its role, which IAM alone knows."""
    session = f"arn:aws:sts::111111111111:assumed-role/{role}/ada"
    known = {
        "Path": path, "RoleName": role, "RoleId": "A" * 20,
        "Arn": f"arn:aws:iam::111111111111:role{path}{role}",
        "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    identity = {"Account": "111111111111", "Arn": session, "UserId": "u"}
    return {
        "sts": [("get_caller_identity", identity)] * times,
        "iam": [("get_role", {"Role": known})] * times,
    }


def test_whoever_deploys_has_an_access_entry() -> None:
    def found(script: Script, settings: Any = None) -> CheckResult:
        resources = synth("dev.cluster", settings)
        more = {"settings": settings} if settings else {}
        [one] = asked(
            cluster_access.check_access, "dev.cluster", script, resources=resources, **more
        )
        return one

    deployer = found(calls_as("plinth-dev-deployer"))
    assert (deployer.status, deployer.message) == ("pass", "has an access entry")
    first = found(calls_as(SSO_ROLE, f"/{SSO}/", times=2))
    assert first.subject == f"arn:aws:iam::111111111111:role/{SSO}/{SSO_ROLE}"
    assert first.message == "gets an access entry by `plinth up dev.cluster`"
    settings: Any = load(StackName.parse("dev.cluster"))
    theirs = {"ci": "arn:aws:iam::111111111111:role/ci"}
    named = changed(
        settings, cluster=settings.cluster.model_copy(update={"admin_role_arns": theirs})
    )
    stranger = found(calls_as(SSO_ROLE, f"/{SSO}/", times=2), named)
    assert stranger.status == "fail" and "answers 401" in stranger.message
    assert found(calls_as("ci"), named).status == "pass"


def test_up_lets_the_caller_in_by_the_full_name_of_the_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = AccountTarget("dev")
    script = calls_as(SSO_ROLE, f"/{SSO}/")
    monkeypatch.setattr(target, "clients", lambda region: stubbed(script))
    made: Any = target.deployable(load(StackName.parse("dev.cluster")), CommandOutput(as_json=True))
    arn = f"arn:aws:iam::111111111111:role/{SSO}/{SSO_ROLE}"
    assert made.cluster.admin_role_arns == {"caller": arn}
    entries = [one.inputs.get("principalArn") for one in synth("dev.cluster", made)
               if one.type == cluster_access.ENTRY]  # fmt: skip
    assert arn in entries


def test_the_tools_of_this_machine_are_asked_for() -> None:
    needs = [("AWS CLI on PATH", False, "none", "install it"), ("Pulumi", True, "3.2", "")]
    found = asked(check_machine, machine=lambda: needs)
    assert [(one.subject, one.status) for one in found] == [
        ("AWS CLI on PATH", "fail"),
        ("Pulumi", "pass"),
    ]
    assert "AWS CLI on PATH" in [need.what for need in of_account("dev", True, {})]


# -- F20, F21: pins --------------------------------------------------------------------------------

CLUSTER = "aws:eks/cluster:Cluster"


def of_version(version: str, policy: str | None) -> list[Resource]:
    """A cluster of another version of Kubernetes; None: nobody says what EKS does at its end."""

    def change(inputs: dict[str, Any]) -> None:
        inputs["version"] = version
        del inputs["upgradePolicy"]
        if policy:
            inputs["upgradePolicy"] = {"supportType": policy}

    return with_inputs(synth("dev.cluster"), CLUSTER, change)


@pytest.mark.parametrize(
    ("version", "policy", "status", "message"),
    [
        ("1.35", "STANDARD", "pass", "is in standard support until 2027-03-27, 118 days more"),
        ("1.34", None, "fail", "has 3 (until 2026-12-02), and costs $365 a month more"),
        ("1.34", "STANDARD", "fail", "and is upgraded by EKS then, whatever the file says"),
        ("1.31", "STANDARD", "fail", "must be a version that EKS offers, is none any more"),
        ("1.99", "STANDARD", "unknown", "does not say until when it is"),
    ],
)
def test_a_cluster_has_weeks_of_standard_support(
    version: str, policy: str | None, status: str, message: str
) -> None:
    check = partial(support.check_support, today=date(2026, 11, 29))
    [found] = asked(check, "dev.cluster", resources=of_version(version, policy))
    assert found.status == status and message in found.message


def test_a_pin_that_nobody_looked_at_for_a_year_is_told() -> None:
    assert told(asked(partial(support.check_ages, today=date(2026, 11, 29)), "dev.cluster")) == []
    old = asked(partial(support.check_ages, today=date(2027, 8, 30)), "dev.cluster")
    assert [one.subject for one in old if one.status == "fail"] == ["kubernetes", "ami/al2023"]
    assert "is 377 (released 2026-08-18)" in told(old)[-1]


def test_every_environment_takes_its_pins_from_the_table() -> None:
    table = pins()
    for env in ("dev", "staging", "prod", "local"):
        settings: Any = load(StackName.parse(f"{env}.cluster"))
        assert settings.cluster.addons == table.all_of("addon")
        assert settings.cluster.system_release_version == table.version("ami/al2023")
        assert settings.cluster.upgrade_policy == "STANDARD"
    assert all(pin.source for pin in table.pins.values())


def test_the_pins_can_be_listed_and_checked() -> None:
    shown = CliRunner().invoke(cli, ["pins", "dev", "--json"])
    assert shown.exit_code == 0, shown.output
    [ami] = [one for one in json.loads(shown.stdout)["pins"] if one["name"] == "ami/al2023"]
    assert ami["taken"] == ami["version"] == pins().version("ami/al2023")


def test_a_claim_without_a_class_gets_an_encrypted_volume_and_pods_are_measured() -> None:
    """As it was, claims and autoscalers of pods waited for ever."""
    for env in ("dev", "staging", "prod", "local"):
        found = synth(f"{env}.cluster")
        [made] = [one for one in found if one.type.endswith(":StorageClass")]
        metadata = made.inputs.get("metadata")
        assert metadata["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
        assert made.inputs.get("parameters", "encrypted") == "true"
        addons = {one.inputs.get("addonName") for one in found if one.type == "aws:eks/addon:Addon"}
        assert {"metrics-server", "aws-ebs-csi-driver"} <= addons


# -- drift ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """An engine that says whether it was to read the cloud first."""

    name: str = "dev.foundation"
    refresh_first: bool = False

    def run(self, operation: str, program: Any, watch: Any) -> Changes:
        made = Changes()
        made.outputs = {"operation": operation, "refreshed": self.refresh_first}
        return made


@pytest.mark.parametrize("refresh", [True, False])
def test_an_update_reads_the_cloud_first_where_it_is_asked_to(
    refresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AccountTarget, "engine", lambda *_: Engine())
    monkeypatch.setattr(work, "whole_stack_can_block", lambda _: False)
    with ThreadPoolExecutor() as pool:
        made = Work("dev.foundation", CommandOutput(as_json=True), pool)
        made.refresh = refresh
        done = made.operate("up", StackName.parse("dev.foundation"))
    assert done.outputs == {"operation": "up", "refreshed": refresh}
