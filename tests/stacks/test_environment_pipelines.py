"""The compiled pipelines of every workload in every environment, by the rules that hold there."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from infra.naming import Names
from policies.data import Resource
from policies.lint import lint
from policies.offline import RuleFinding, evaluate
from policies.reading.jobs import PIPELINE
from stacks.definitions import definitions
from stacks.policy_config import policy_config
from stacks.settings.load import load_foundation, load_workload
from stacks.stack_name import StackName
from tests.kits.iam import decide
from tests.kits.stacks import WORKLOADS, named, synth

SECURED = {"ML-TJ-003", "ML-TJ-005", "ML-TJ-010", "ML-TJ-011", "ML-PL-005", "ML-PL-007"}
"""What a job must have wherever it runs: network, keys, lineage, retries, a sound definition."""

every_workload = pytest.mark.parametrize("stack", WORKLOADS, ids=str)
PROD = named("prod.flight_delay")


@cache
def compiled(stack: StackName) -> dict[str, str]:
    return definitions(load_workload(stack))


@cache
def registered(stack: StackName) -> list[Resource]:
    return synth(str(stack), load_workload(stack), compiled(stack))


def of_pipelines(stack: StackName) -> list[RuleFinding]:
    found = evaluate(registered(stack), policy_config(load_workload(stack)))
    return [finding for finding in found if f"{PIPELINE}::" in finding.urn]


def documents(found: list[Resource], kind: str) -> Mapping[str, dict[str, Any]]:
    """Policies by the name of their resource."""
    return {
        item.name: json.loads(item.inputs.get("policy"))
        for item in found
        if item.type.endswith(f":{kind}")
    }


@every_workload
def test_no_pipeline_breaks_a_rule(stack: StackName) -> None:
    settings = load_workload(stack)
    texts = compiled(stack)
    assert texts.keys() == settings.workload.pipelines.keys()
    for name, text in texts.items():
        findings = lint(text, f"{stack} {name}", policy_config(settings))
        assert [f for f in findings if f.status in ("fail", "error")] == []
        passed = {f.rule_id for f in findings if f.status == "pass"}
        assert passed >= (SECURED if settings.workload.model else {"ML-PL-005", "ML-PL-007"})


@every_workload
def test_the_pipeline_that_is_deployed_breaks_no_rule(stack: StackName) -> None:
    findings = of_pipelines(stack)
    assert [f for f in findings if f.status in ("fail", "error", "unknown")] == []
    assert {f.rule_id for f in findings if f.status == "pass"} >= {"ML-PL-005", "ML-PL-007"}


def test_rules_about_jobs_block_production() -> None:
    findings = of_pipelines(PROD)
    assert {f.rule_id for f in findings if f.status == "pass"} >= SECURED
    assert {f.level for f in findings if f.rule_id in SECURED} == {"mandatory"}


@every_workload
def test_what_aws_invents_is_filled_in_everywhere(stack: StackName) -> None:
    pipelines = [item for item in registered(stack) if item.type == PIPELINE]
    assert len(pipelines) == len(compiled(stack)) > 0
    zones = load_workload(stack).environment.availability_zone_ids
    for pipeline in pipelines:
        text = pipeline.inputs.get("pipelineDefinition")
        assert "{{" not in text
        assert json.loads(text)["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"] == {
            "SecurityGroupIds": ["sg-stand-in-jobs"],
            "Subnets": [f"subnet-stand-in-{zone}" for zone in zones],
        }
    assert all("{{" in text for text in compiled(stack).values())


def test_the_buckets_refuse_jobs_outside_the_vpc() -> None:
    platform = load_foundation("prod").names
    names = load_workload(PROD).names
    policies = documents(synth("prod.foundation"), "BucketPolicy")
    asked = {"aws__SecureTransport": "true", "aws__SourceVpce": "vpce-other"}
    for bucket in ("artifacts", "data"):
        policy, key = policies[f"storage-{bucket}"], f"arn:aws:s3:::{platform.bucket(bucket)}/k"
        for role, answer in (("job", "deny"), ("pipeline", "nothing"), ("serving", "nothing")):
            who = {**asked, "aws__PrincipalArn": names.role_arn(role)}
            assert decide([policy], "s3:GetObject", key, **who) == answer, role


def test_the_job_role_puts_interfaces_into_the_private_subnets_alone() -> None:
    names = load_workload(PROD).names
    policy = documents(registered(PROD), "RolePolicy")["access-allow-job"]
    create = ["ec2:CreateNetworkInterface"]
    [created] = [s for s in policy["Statement"] if s["Action"] == create]
    ours, group = subnet(names, "stand-in-use1-az1"), group_arn(names, "sg-stand-in-jobs")
    assert [arn for arn in created["Resource"] if ":security-group/" in arn] == [group]
    interface = names.arn("ec2", "network-interface/eni-1")
    foreign = subnet(names, "of-others")
    for action in ("CreateNetworkInterfacePermission", "DeleteNetworkInterface"):
        assert decide([policy], f"ec2:{action}", interface, ec2__Subnet=ours) == "allow"
        assert decide([policy], f"ec2:{action}", interface, ec2__Subnet=foreign) == "nothing"
    assert decide([policy], "ec2:CreateNetworkInterface", ours) == "allow"
    assert decide([policy], "ec2:CreateNetworkInterface", foreign) == "nothing"


def subnet(names: Names, name: str) -> str:
    return names.arn("ec2", f"subnet/subnet-{name}")


def group_arn(names: Names, group: str) -> str:
    return names.arn("ec2", f"security-group/{group}")
