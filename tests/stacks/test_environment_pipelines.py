"""The compiled pipeline of each environment, by the rules that hold there."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from policies.jobs import PIPELINE

from pipelines.compiled import Request
from pipelines.workload import find, named
from policies.data import Resource
from policies.lint import lint
from policies.offline import Finding, evaluate
from stacks import workload
from stacks.commands.deploy import policy_config
from stacks.image import image_uri
from stacks.settings import environments, load
from stacks.synth import synthesize
from tests.kits.iam import decide

SECURED = {"ML-TJ-003", "ML-TJ-005", "ML-TJ-010", "ML-TJ-011", "ML-PL-005", "ML-PL-007"}
"""What a job must have wherever it runs: network, keys, lineage, retries, a sound definition."""


PIPELINES = [(one.name, pipeline) for one in find().values() for pipeline in one.pipelines]


@cache
def compiled(env: str) -> str:
    return workload.definitions(env, load(env))[workload.PIPELINE]


@cache
def stack(env: str) -> list[Resource]:
    return synthesize(env, load(env), {workload.PIPELINE: compiled(env)})


def of_pipelines(env: str) -> list[Finding]:
    found = evaluate(stack(env), policy_config(load(env)))
    return [finding for finding in found if f"{PIPELINE}::" in finding.urn]


def documents(env: str, kind: str) -> Mapping[str, dict[str, Any]]:
    """Policies by the name of their resource."""
    return {
        item.name: json.loads(item.inputs.get("policy"))
        for item in stack(env)
        if item.type.endswith(f":{kind}")
    }


def made(env: str, kind: str, name: str) -> Any:
    """The id of a resource."""
    [found] = [i for i in stack(env) if i.type.endswith(f"/{kind}") and i.name == name]
    return found.outputs.get("id")


@cache
def of_workloads(env: str) -> dict[tuple[str, str], str]:
    """The definition of every pipeline of every workload."""
    settings = load(env)
    names = settings.names(env)
    requests = [
        Request(
            workload=one,
            pipeline=pipeline,
            inputs=workload.inputs(
                one,
                pipeline,
                names,
                image_uri=image_uri(settings.image, names, one.name),
                zones=settings.network.availability_zone_ids,
                instance_type=settings.training.instance_type,
                max_runtime_seconds=settings.training.max_runtime_seconds,
            ),
        )
        for one in find().values()
        for pipeline in one.pipelines
    ]
    texts = workload.compiled_definitions(requests)
    pairs = zip(requests, texts, strict=True)
    return {(request.workload.name, request.pipeline): text for request, text in pairs}


@pytest.mark.parametrize(("name", "pipeline"), PIPELINES)
@pytest.mark.parametrize("env", environments())
def test_no_pipeline_of_a_workload_breaks_a_rule(env: str, name: str, pipeline: str) -> None:
    one = named(name)
    config = replace(
        policy_config(load(env)), calling_steps=tuple(one.pipelines[pipeline].calls_aws)
    )
    findings = lint(of_workloads(env)[(name, pipeline)], env, config)
    assert [f for f in findings if f.status in ("fail", "error")] == []
    passed = {f.rule_id for f in findings if f.status == "pass"}
    assert passed >= (SECURED if one.model else {"ML-PL-005", "ML-PL-007"})


@pytest.mark.parametrize("env", environments())
def test_the_pipeline_that_is_deployed_breaks_no_rule(env: str) -> None:
    findings = of_pipelines(env)
    assert [f for f in findings if f.status in ("fail", "error", "unknown")] == []
    assert {f.rule_id for f in findings if f.status == "pass"} >= SECURED


def test_rules_about_jobs_block_production() -> None:
    findings = of_pipelines("prod")
    assert {f.level for f in findings if f.rule_id in SECURED} == {"mandatory"}


@pytest.mark.parametrize("env", environments())
def test_what_aws_invents_is_filled_in_everywhere(env: str) -> None:
    [pipeline] = [item for item in stack(env) if item.type == PIPELINE]
    text = pipeline.inputs.get("pipelineDefinition")
    assert "{{" in compiled(env)
    assert "{{" not in text
    zones = load(env).network.availability_zone_ids
    assert json.loads(text)["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"] == {
        "SecurityGroupIds": [made(env, "securityGroup:SecurityGroup", "network-jobs")],
        "Subnets": [made(env, "subnet:Subnet", f"network-private-{zone}") for zone in zones],
    }


def test_the_buckets_refuse_jobs_outside_the_vpc() -> None:
    names = load("prod").names("prod")
    policies = documents("prod", "BucketPolicy")
    asked = {"aws__SecureTransport": "true", "aws__SourceVpce": "vpce-other"}
    for bucket in ("artifacts", "data"):
        policy, key = policies[f"storage-{bucket}"], f"arn:aws:s3:::{names.bucket(bucket)}/k"
        for role, answer in (("job", "deny"), ("pipeline", "nothing"), ("serving", "nothing")):
            who = {**asked, "aws__PrincipalArn": names.role_arn(role)}
            assert decide([policy], "s3:GetObject", key, **who) == answer, role


def test_the_job_role_puts_interfaces_into_the_private_subnets_alone() -> None:
    names = load("prod").names("prod")
    policy = documents("prod", "RolePolicy")["network-attach-job"]
    [created, *_] = [s for s in policy["Statement"] if "Condition" not in s]
    ours, group = (
        names.arn("ec2", f"{kind}/{made('prod', resource, name)}")
        for kind, resource, name in (
            ("subnet", "subnet:Subnet", "network-private-use1-az1"),
            ("security-group", "securityGroup:SecurityGroup", "network-jobs"),
        )
    )
    assert [arn for arn in created["Resource"] if ":security-group/" in arn] == [group]
    interface = names.arn("ec2", "network-interface/eni-1")
    foreign = names.arn("ec2", "subnet/subnet-of-others")
    for action in ("CreateNetworkInterfacePermission", "DeleteNetworkInterface"):
        assert decide([policy], f"ec2:{action}", interface, ec2__Subnet=ours) == "allow"
        assert decide([policy], f"ec2:{action}", interface, ec2__Subnet=foreign) == "nothing"
    assert decide([policy], "ec2:CreateNetworkInterface", ours) == "allow"
    assert decide([policy], "ec2:CreateNetworkInterface", foreign) == "nothing"
