"""Platforms for tests of checks: real constructors, recorded; AWS stubbed against its own model."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pulumi_aws as aws
from botocore.stub import Stubber

from stacks.checks.check import Check, CheckResult, Platform, examine, refuse
from stacks.contract import MARK
from stacks.settings.load import load
from stacks.stack_name import StackName
from stacks.synth import recorded

Script = Mapping[str, list[tuple[str, Any]]]
"""Service -> operations with their answers in order; an exception's code as `!Code`."""


def stubbed(script: Script) -> Callable[[str], Any]:
    """Clients that answer as scripted, validated by botocore; other services are not there."""
    clients: dict[str, Any] = {}
    for service, answers in script.items():
        made = boto3.client(
            service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        stubber = Stubber(made)
        for operation, answer in answers:
            if isinstance(answer, str):
                stubber.add_client_error(operation, answer.removeprefix("!"), "said no")
            else:
                stubber.add_response(operation, answer)
        stubber.activate()
        clients[service] = made

    def client(service: str) -> Any:
        return clients[service] if service in clients else refuse(f"no {service} here")()

    return client


def platform(
    program: Callable[[], Any] = lambda: None,
    script: Script | None = None,
    *,
    stack: str = "dev.foundation",
    **more: Any,
) -> Platform:
    """A stack with the resources of a program and scripted clients."""
    name = StackName.parse(stack)
    given = {
        "stack": name,
        "settings": load(name),
        "resources": recorded(program, stack=stack),
        "clients": stubbed(script) if script is not None else refuse("no credentials"),
        "fetch": refuse("no network"),
        "plain_http": refuse("no TLS here"),
        "kubernetes": refuse("no cluster"),
        **more,
    }
    return Platform(**given)


def ask(check: Callable[..., Any], asked: Platform) -> list[CheckResult]:
    """The findings of one check, as the command gets them."""
    return examine(asked, [Check("check", "title", check)])


def statuses(found: list[CheckResult]) -> list[str]:
    return [finding.status for finding in found]


def node_group(
    name: str,
    instance_type: str,
    max_size: int,
    *,
    capacity_type: str = "ON_DEMAND",
    reservation: str | None = None,
    release: str | None = None,
    zone: str = "use1-az1",
) -> None:
    """A node group with its launch template, as EKS takes it, in a subnet of the foundation."""
    target: Any = {"capacity_reservation_target": {"capacity_reservation_id": reservation}}
    template = aws.ec2.LaunchTemplate(
        f"{name}-template", capacity_reservation_specification=target if reservation else None
    )
    aws.eks.NodeGroup(
        name,
        cluster_name="cluster",
        node_role_arn="arn:aws:iam::123456789012:role/node",
        subnet_ids=[f"subnet-{MARK}-{zone}"],
        instance_types=[instance_type],
        capacity_type=capacity_type,
        ami_type="AL2023_x86_64_NVIDIA",
        release_version=release,
        launch_template={"id": template.id, "version": "1"},
        scaling_config={"min_size": 0, "desired_size": 0, "max_size": max_size},
    )


def karpenter(*capacity_types: str) -> Callable[[], None]:
    """A pool of up to two p5 in use1-az1 whose class selects reservations by tag."""

    def program() -> None:
        from pulumi_kubernetes.apiextensions import CustomResource

        requirements = {
            "node.kubernetes.io/instance-type": ["p5.48xlarge"],
            "karpenter.sh/capacity-type": list(capacity_types),
            "topology.k8s.aws/zone-id": ["use1-az1"],
        }
        terms = [{"key": k, "operator": "In", "values": v} for k, v in requirements.items()]
        CustomResource(
            "class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata={"name": "gpus"},
            spec={
                "amiSelectorTerms": [{"alias": "al2023@v20251007"}],
                "capacityReservationSelectorTerms": [{"tags": {"pool": "gpus"}}],
            },
        )
        CustomResource(
            "pool",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata={"name": "gpus"},
            spec={
                "limits": {"nvidia.com/gpu": "64"},
                "template": {
                    "spec": {"requirements": terms, "nodeClassRef": {"name": "gpus"}},
                },
            },
        )

    return program


ENDPOINT_QUOTA = "ml.g5.xlarge for endpoint usage"


def served() -> None:
    """An endpoint that scales to 4, updated blue/green."""
    config = aws.sagemaker.EndpointConfiguration(
        "config",
        name="config",
        production_variants=[
            {
                "variant_name": "champion",
                "model_name": "model",
                "instance_type": "ml.g5.xlarge",
                "initial_instance_count": 2,
            }
        ],
    )
    aws.sagemaker.Endpoint("endpoint", name="served", endpoint_config_name=config.name)
    aws.appautoscaling.Target(
        "target",
        resource_id="endpoint/served/variant/champion",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        service_namespace="sagemaker",
        min_capacity=2,
        max_capacity=4,
    )


def endpoint_quota(value: float) -> Script:
    quota = {"QuotaCode": "L-1928E07B", "QuotaName": ENDPOINT_QUOTA, "Value": value}
    return {"service-quotas": [("list_service_quotas", {"Quotas": [quota]})]}


def pipeline(parallel: int) -> Callable[[], None]:
    """A pipeline of three equal training steps."""
    step = {
        "Type": "Training",
        "Arguments": {
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
    }
    steps = [{"Name": f"Train{n}", **step} for n in range(3)]

    def program() -> None:
        aws.sagemaker.Pipeline(
            "training",
            pipeline_name="training",
            pipeline_display_name="training",
            pipeline_definition=json.dumps({"Version": "2020-12-01", "Steps": steps}),
            parallelism_configuration={"max_parallel_execution_steps": parallel},
        )

    return program
