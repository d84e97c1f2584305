"""The compiled pipeline of each environment, by the rules that hold there."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from pipelines.workload import find
from policies.data import Resource
from policies.jobs import PIPELINE
from policies.lint import lint
from policies.offline import Finding, evaluate
from stacks.composition.base import ACTS_OUTSIDE_THE_VPC, SAGEMAKER
from stacks.composition.workload import roles as workload_roles
from stacks.contract import FoundationContract, stand_in
from stacks.definitions import definitions
from stacks.policy_config import policy_config
from stacks.settings.load import load, load_environment
from stacks.stack_name import StackName
from tests.iam_kit import decide
from tests.stacks_kit import WORKLOADS, named, synth

SECURED = {"ML-TJ-003", "ML-TJ-005", "ML-TJ-010", "ML-TJ-011", "ML-PL-005", "ML-PL-007"}
"""What a job must have wherever it runs: network, keys, lineage, retries, a sound definition."""


def expected(stack: StackName) -> set[str]:
    """Of `SECURED`, what has something to say of this workload's pipelines."""
    trains = find()[str(stack.workload)].model
    return SECURED if trains else {"ML-PL-005", "ML-PL-007"}


@cache
def compiled(stack: StackName) -> dict[str, str]:
    return definitions(load(stack))


@cache
def registered(stack: StackName) -> list[Resource]:
    return synth(str(stack), load(stack), compiled(stack))


def of_pipelines(stack: StackName) -> list[Finding]:
    found = evaluate(registered(stack), policy_config(load(stack)))
    return [finding for finding in found if f"{PIPELINE}::" in finding.urn]


def documents(stack: str, kind: str) -> Mapping[str, dict[str, Any]]:
    """Policies by the name of their resource."""
    return {
        item.name: json.loads(item.inputs.get("policy"))
        for item in synth(stack)
        if item.type.endswith(f":{kind}")
    }


def offered(env: str) -> FoundationContract:
    """What the stacks of an environment stand on."""
    found = stand_in(named(f"{env}.foundation"))
    assert isinstance(found, FoundationContract)
    return found


@pytest.mark.parametrize("stack", WORKLOADS, ids=str)
def test_the_pipelines_of_a_workload_break_no_rule(stack: StackName) -> None:
    config = policy_config(load(stack))
    assert compiled(stack).keys() == load(stack).workload.pipelines.keys()  # type: ignore[union-attr]
    for text in compiled(stack).values():
        findings = lint(text, stack.env, config)
        assert [f for f in findings if f.status in ("fail", "error")] == []
        assert {f.rule_id for f in findings if f.status == "pass"} >= expected(stack)


@pytest.mark.parametrize("stack", WORKLOADS, ids=str)
def test_the_pipelines_that_are_deployed_break_no_rule(stack: StackName) -> None:
    findings = of_pipelines(stack)
    assert [f for f in findings if f.status in ("fail", "error", "unknown")] == []
    assert {f.rule_id for f in findings if f.status == "pass"} >= expected(stack)


def test_rules_about_jobs_block_production() -> None:
    findings = of_pipelines(named("prod.flight_delay"))
    assert {f.level for f in findings if f.rule_id in SECURED} == {"mandatory"}


@pytest.mark.parametrize("stack", WORKLOADS, ids=str)
def test_what_aws_invents_is_filled_in_everywhere(stack: StackName) -> None:
    below = offered(stack.env)
    pipelines = [item for item in registered(stack) if item.type == PIPELINE]
    assert len(pipelines) == len(compiled(stack)) > 0
    assert "{{" in "".join(compiled(stack).values())
    for pipeline in pipelines:
        text = pipeline.inputs.get("pipelineDefinition")
        assert "{{" not in text
        assert json.loads(text)["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"] == {
            "SecurityGroupIds": [below.job_security_group_id],
            "Subnets": list(below.private_subnet_ids.values()),
        }


def test_the_buckets_refuse_jobs_outside_the_vpc() -> None:
    """Of workloads whose roles the foundation has not seen yet."""
    names = load_environment("prod").names
    policies = documents("prod.foundation", "BucketPolicy")
    asked = {"aws__SecureTransport": "true", "aws__SourceVpce": "vpce-other"}
    answers = {"job": "deny", "drift": "deny", "pipeline": "nothing", "serving": "nothing"}
    for bucket in ("artifacts", "data"):
        policy, key = policies[f"storage-{bucket}"], f"arn:aws:s3:::{names.bucket(bucket)}/k"
        for workload in ("flight-delay", "of-tomorrow"):
            for role, answer in answers.items():
                arn = names.of_workload(workload).role_arn(role)
                who = {**asked, "aws__PrincipalArn": arn}
                assert decide([policy], "s3:GetObject", key, **who) == answer, arn


def test_roles_that_come_to_the_buckets_from_elsewhere_are_those_that_are_let_in() -> None:
    """The foundation names them by pattern: a role more must be added there."""
    outside = set()
    for stack in WORKLOADS:
        roles = workload_roles(load(stack))  # type: ignore[arg-type]
        outside |= {
            purpose
            for purpose, spec in roles.items()
            if spec.service == SAGEMAKER and not spec.only_in_vpc
        }
    assert outside | {"llm"} == set(ACTS_OUTSIDE_THE_VPC)


def job_policy() -> dict[str, Any]:
    return documents("prod.flight_delay", "RolePolicy")["access-allow-job"]


def test_the_job_role_puts_interfaces_into_the_private_subnets_alone() -> None:
    names, below = load_environment("prod").names, offered("prod")
    policy = job_policy()
    [created] = [s for s in policy["Statement"] if s["Action"] == ["ec2:CreateNetworkInterface"]]
    subnet = below.private_subnet_ids["use1-az1"]
    ours, group = (
        names.arn("ec2", f"subnet/{subnet}"),
        names.arn("ec2", f"security-group/{below.job_security_group_id}"),
    )
    assert [arn for arn in created["Resource"] if ":security-group/" in arn] == [group]
    interface = names.arn("ec2", "network-interface/eni-1")
    foreign = names.arn("ec2", "subnet/subnet-of-others")
    for action in ("CreateNetworkInterfacePermission", "DeleteNetworkInterface"):
        assert decide([policy], f"ec2:{action}", interface, ec2__Subnet=ours) == "allow"
        assert decide([policy], f"ec2:{action}", interface, ec2__Subnet=foreign) == "nothing"
    assert decide([policy], "ec2:CreateNetworkInterface", ours) == "allow"
    assert decide([policy], "ec2:CreateNetworkInterface", foreign) == "nothing"


def test_a_job_reads_and_writes_what_its_workload_owns_and_reads_the_groups_it_uses() -> None:
    names = load_environment("prod").names
    artifacts, data = (f"arn:aws:s3:::{names.bucket(one)}" for one in ("artifacts", "data"))
    store = f"{data}/features/{names.account_id}/sagemaker/us-east-1/offline-store"
    own = names.of_workload("flight-delay")
    policies = [
        document
        for name, document in documents("prod.flight_delay", "RolePolicy").items()
        if name.endswith("-job")
    ]

    def may(action: str, resource: str) -> bool:
        return decide(policies, action, resource) == "allow"

    written = (
        f"{artifacts}/{own.of('training')}/models/m.tar.gz",
        f"{data}/quarantine/flight-delay/run/rows.csv",
        f"{data}/landing/flights/2013-01.csv",
        f"{store}/{own.of('flights')}-1700000000/data/a.parquet",
    )
    assert [may("s3:PutObject", key) for key in written] == [True] * 4
    hourly = names.of_workload("weather").of("hourly")
    used = f"{store}/{hourly}-1700000000/data/a.parquet"
    assert (may("s3:GetObject", used), may("s3:PutObject", used)) == (True, False)
    group = names.arn("sagemaker", f"feature-group/{hourly}")
    assert (may("sagemaker:GetRecord", group), may("sagemaker:PutRecord", group)) == (True, False)
    others = (
        f"{artifacts}/{names.of_workload('block-time').of('training')}/models/m.tar.gz",
        f"{data}/quarantine/weather/run/rows.csv",
        f"{data}/capture/{own.of('realtime')}/a.jsonl",
        f"{store}/{names.of_workload('weather').of('daily')}-1700000000/data/a.parquet",
        f"{store}/{names.of_workload('block-time').of('flights')}-1700000000/data/a.parquet",
    )
    assert [may("s3:GetObject", key) for key in others] == [False] * 5
