"""Whether nodes get the layers of images through the S3 endpoint of the VPC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from infra.naming import partition_of
from infra.vpc_endpoints import layer_buckets
from policies.data import Resource
from stacks.checks.check import CheckResult, Platform, failed, passed, unknown

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
RELEASE = "kubernetes:helm.sh/v3:Release"
ID = "image layers"

REGISTRIES: Mapping[str, str | None] = {
    "aws-efa-k8s-device-plugin": None,  # ECR of EKS in us-west-2, through the internet
    "dcgm-exporter": None,  # nvcr.io
    "karpenter": None,  # public.ecr.aws, through CloudFront
    "karpenter-crd": None,
    "kuberay-operator": None,  # quay.io
    "kueue": "registry.k8s.io",
    "nvidia-device-plugin": None,  # nvcr.io
}
"""Chart -> the registry of its images if that sends nodes to a bucket of their region."""


def check(platform: Platform) -> Iterator[CheckResult]:
    """Anonymous reads of the bucket that a registry sends nodes to pass the gateway endpoint.

    In the region of the VPC all requests to S3 take the endpoint, whose policy lets this account's
    principals through, and nobody is none of them.
    """
    endpoints = [one for one in platform.everything if one.type == ENDPOINT]
    policies = [_policy(one) for one in endpoints if _is_s3_gateway(one)]
    region = platform.settings.environment.account.region
    for release in (one for one in platform.everything if one.type == RELEASE):
        chart = str(release.inputs.get("chart")).rpartition("/")[2]
        if chart not in REGISTRIES:
            yield unknown(ID, chart, "nobody has looked where its images' layers come from")
        elif REGISTRIES[chart] and policies:
            yield _passes(chart, str(REGISTRIES[chart]), region, policies)


def _passes(
    chart: str, registry: str, region: str, policies: list[Mapping[str, Any]]
) -> CheckResult:
    """Whether every gateway of the environment lets the chart's layers through."""
    [bucket] = [one for one in layer_buckets(region) if "starport" not in one]
    objects = f"arn:{partition_of(region)[0]}:s3:::{bucket}/containers/images/layer"
    if all(lets_anonymous_read(policy, objects) for policy in policies):
        return passed(ID, chart, f"the S3 endpoint lets nodes read the layers of {registry}")
    return failed(
        ID,
        chart,
        f"the policy of the S3 endpoint must let everybody read {bucket}, from which {registry} "
        "serves nodes here; does not, so the image is never pulled",
        "allow s3:GetObject there (infra/vpc_endpoints.py does), or mirror the image",
    )


def _is_s3_gateway(endpoint: Resource) -> bool:
    service = str(endpoint.inputs.get("serviceName"))
    return service.endswith(".s3") and endpoint.inputs.get("vpcEndpointType") == "Gateway"


def _policy(endpoint: Resource) -> Mapping[str, Any]:
    policy: Mapping[str, Any] = json.loads(endpoint.inputs.get("policy"))
    return policy


def lets_anonymous_read(policy: Mapping[str, Any], arn: str) -> bool:
    """Whether a statement lets nobody in particular read an object, on no condition."""
    return any(
        statement["Effect"] == "Allow"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and not statement.get("Condition")
        and any(fnmatchcase("s3:GetObject", one) for one in _listed(statement["Action"]))
        and any(fnmatchcase(arn, one) for one in _listed(statement["Resource"]))
        for statement in policy["Statement"]
    )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
