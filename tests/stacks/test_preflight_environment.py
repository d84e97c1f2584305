"""What the stacks of an environment share: quotas that add up, and who is asked what."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pulumi_aws as aws
import pytest
from click.testing import CliRunner

from infra.errors import CheckFailed, UserError
from policies.config import PolicyConfig
from policies.data import Resource
from policies.review.compare import compare
from policies.review.report import Context
from stacks import contract
from stacks.checks import cost, quotas
from stacks.checks.check import Check, CheckResult, Platform, examine, passed
from stacks.checks.preflight import PREFLIGHT
from stacks.checks.quota_review import listed, part
from stacks.checks.verify import VERIFY
from stacks.cli import cli
from stacks.commands.checks import verify
from stacks.commands.output import CommandOutput
from stacks.contract import FoundationContract, zone_of
from stacks.settings.model import ClusterSettings, FoundationSettings, WorkloadSettings
from stacks.sizing.prices.table import price_table
from stacks.stack_name import StackName, stacks_of
from stacks.synth import recorded
from tests.kits.checks import (
    ENDPOINT_QUOTA,
    Script,
    ask,
    endpoint_quota,
    pipeline,
    platform,
    served,
)

FLIGHT_DELAY, BLOCK_TIME = StackName("dev", "flight_delay"), StackName("dev", "block_time")
Program = Callable[[], Any]


def environment(**programs: Program) -> dict[StackName, list[Resource]]:
    """What stacks of dev register, by their layers."""
    stacks = {StackName("dev", layer): program for layer, program in programs.items()}
    return {stack: recorded(program, stack=str(stack)) for stack, program in stacks.items()}


TWO_MODELS = {"flight_delay": served, "block_time": served}


@pytest.mark.parametrize(("value", "status"), [(16, "pass"), (15, "fail")])
def test_endpoints_of_two_workloads_share_a_quota(value: float, status: str) -> None:
    """Both are called the same in their stacks: each needs its largest size twice."""
    asked = platform(script=endpoint_quota(value), environment=environment(**TWO_MODELS))
    [found] = ask(quotas.check, asked)
    assert (found.subject, found.status) == (ENDPOINT_QUOTA, status)
    assert "needs 16 instances at most" in found.message
    assert "flight_delay: endpoint/champion 4" in found.message
    assert "block_time: endpoint/champion while updated 4" in found.message


def test_each_workload_runs_its_own_steps_at_once() -> None:
    """Their pipelines have the same name; each has a bound of its own: 2 and 4 instances."""
    both = environment(flight_delay=pipeline(1), block_time=pipeline(2))
    name = "ml.m5.xlarge for training job usage"
    quota = {"QuotaCode": "L-1", "QuotaName": name, "Value": 5.0}
    script: Script = {"service-quotas": [("list_service_quotas", {"Quotas": [quota]})]}
    [found] = ask(quotas.check, platform(script=script, environment=both))
    assert found.status == "fail"
    assert "needs 6 instances at most" in found.message


def test_things_of_all_stacks_are_counted_and_those_of_others_once() -> None:
    def addresses() -> None:
        aws.ec2.Eip("nat")
        aws.ec2.Eip("other")

    found = environment(foundation=addresses, cluster=lambda: aws.ec2.Eip("nat"))
    asked = platform(
        script={"ec2": [("describe_addresses", {"Addresses": [{"PublicIp": "1.1.1.1"}]})]},
        resources=found[StackName("dev", "foundation")],
        environment=found,
    )
    [demand] = quotas.demands(asked)
    assert demand.amount == 4
    assert demand.by == ["this environment 3", "others in the account 1"]


@pytest.mark.parametrize(
    ("value", "beside", "rules"),
    [(8, {}, []), (8, TWO_MODELS, ["RV-015"]), (16, TWO_MODELS, [])],
)
def test_a_review_counts_what_the_other_stacks_may_use(
    value: float, beside: Mapping[str, Program], rules: list[str]
) -> None:
    """A new endpoint of one workload, where another workload's uses the quota already."""
    others = {stack: r for stack, r in environment(**beside).items() if stack != BLOCK_TIME}
    after = recorded(served, stack=str(BLOCK_TIME))
    change = compare(str(BLOCK_TIME), [], after)

    def seen(resources: Sequence[Resource]) -> Platform:
        return platform(stack=str(BLOCK_TIME), resources=resources, environment=others)

    quota = {
        "ServiceCode": "sagemaker", "QuotaCode": "L-1", "QuotaName": ENDPOINT_QUOTA, "Value": value,
    }  # fmt: skip
    ask_file = listed(json.dumps({"Quotas": [quota]}))
    context = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))
    section = part(seen, ask_file)(change, context)
    assert section
    assert [reason.rule for reason in section.reasons] == rules
    assert section.rows[0].cells[1:3] == (f"{8 + 8 * len(others)} instances", f"{8 * len(others)}")


def test_the_price_of_an_environment_is_that_of_its_stacks() -> None:
    def address() -> None:
        aws.ec2.Eip("nat")

    both = environment(foundation=address, cluster=address)
    asked = platform(resources=both[StackName("dev", "foundation")], environment=both)
    [alone], [together] = ask(cost.check, asked), ask(cost.check_environment, asked)
    usd = price_table("us-east-1").prices["vpc", "public IPv4 address"].usd * 730
    assert f"expected ${usd:,.0f}, " in alone.message
    assert together.subject == "price per month, 2 stacks"
    assert f"expected ${2 * usd:,.0f}, " in together.message
    assert ask(cost.check_environment, platform()) == [], "a stack that stands alone says it all"


KINDS = {
    "dev.foundation": FoundationSettings,
    "dev.cluster": ClusterSettings,
    "dev.weather": WorkloadSettings,
}


@pytest.mark.parametrize("stack", KINDS)
def test_a_check_is_asked_of_the_stacks_that_it_applies_to(stack: str) -> None:
    def told(asked: Platform) -> list[CheckResult]:
        return [passed("told", str(asked.stack), "asked")]

    checks = [Check(kind.__name__, "title", told, (kind,)) for kind in KINDS.values()]
    assert len(examine(platform(stack=stack), checks)) == 1
    assert len(examine(platform(stack=stack), [Check("all", "title", told)])) == 1


def test_every_check_applies_to_some_kind_of_stack() -> None:
    for checks in (PREFLIGHT, VERIFY):
        assert {kind for check in checks for kind in check.applies_to} == set(KINDS.values())
        assert [check.id for check in checks if not check.applies_to] == []


def test_a_stand_in_of_a_subnet_says_its_zone() -> None:
    offered = contract.stand_in(StackName("prod", "foundation"))
    assert isinstance(offered, FoundationContract)
    for subnets in (offered.private_subnet_ids, offered.pod_subnet_ids):
        assert len(subnets) == 3
        assert {zone: zone_of(str(subnet)) for zone, subnet in subnets.items()} == {
            zone: zone for zone in subnets
        }
    assert zone_of("subnet-0a1b2c3d") is None


@pytest.fixture(scope="module")
def told() -> Any:
    return preflight_of("dev")


def preflight_of(name: str) -> Any:
    """What it says, which is a failure: the files come with placeholders."""
    done = CliRunner().invoke(cli, ["preflight", name, "--json"])
    assert isinstance(done.exception, CheckFailed), done.output
    return json.loads(json.dumps(done.exception.data))


def test_preflight_tells_of_every_stack_and_once_of_what_they_share(told: Any) -> None:
    assert sorted(told["stacks"]) == sorted(map(str, stacks_of("dev")))
    asked = {
        stack: {finding["check"] for finding in said["findings"]}
        for stack, said in told["stacks"].items()
    }
    assert [stack for stack, checks in asked.items() if "quotas" in checks] == ["dev.foundation"]
    assert [stack for stack, checks in asked.items() if "amis" in checks] == ["dev.cluster"]
    assert all({"permissions", "cost"} <= checks for checks in asked.values())
    said = [said["counts"] for said in told["stacks"].values()]
    assert told["counts"]["unknown"] == sum(counts["unknown"] for counts in said) > 0
    assert (told["name"], told["env"], told["ok"]) == ("dev", "dev", False)
    failing = {
        finding["check"]
        for said in told["stacks"].values()
        for finding in said["findings"]
        if finding["status"] == "fail"
    }
    assert failing <= {"machine", "placeholders"}


def test_preflight_of_one_stack_adds_up_all_of_them(told: Any) -> None:
    one = preflight_of("dev.weather")
    assert list(one["stacks"]) == ["dev.weather"]

    def shared(stack: Mapping[str, Any]) -> list[Any]:
        return [finding for finding in stack["findings"] if finding["check"] == "quotas"]

    assert shared(one["stacks"]["dev.weather"]) == shared(told["stacks"]["dev.foundation"])


def test_without_credentials_there_is_nothing_to_verify() -> None:
    with pytest.raises(UserError, match="environment dev needs AWS credentials, got none"):
        verify("dev.weather", CommandOutput(as_json=True))
