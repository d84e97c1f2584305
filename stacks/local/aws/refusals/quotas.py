"""Instances beyond the quotas of a new account, which has no GPUs; told where that is chosen.

The account of `local` was granted what a platform asks for first (service_quotas.py). The variable
PLINTH_QUOTAS=new makes it one that never asked: AWS's default values, by the table of `preflight`,
and what was granted since. What runs already is not counted: refused are a quota of 0, and a single
request beyond a quota.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jmespath

from stacks.checks import quota_table as table
from stacks.local.aws import service_quotas
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

Instances = Iterator[tuple[str, int]]
"""Instance types with counts that a request asks for."""

CLUSTERS: Mapping[str, str] = {
    "training": "ResourceConfig",
    "processing": "ProcessingResources.ClusterConfig",
    "transform": "TransformResources",
}
"""Use of an instance -> where the request says how many of which."""


AT_ONCE = "HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs"
TUNED = (
    "[TrainingJobDefinition, TrainingJobDefinitions][]"
    ".[ResourceConfig, HyperParameterTuningResourceConfig.InstanceConfigs[0]][]"
)
"""The machines of a tuning job's training jobs."""


def beyond_sagemaker(use: str, found: Callable[[Request, Account], Instances]) -> Condition:
    """More instances of a type for a use than a new account has."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        for instance_type, count in found(request, account) if account.is_new else ():
            name = f"{instance_type} {table.SAGEMAKER_USES[use]}"
            default = service_quotas.of_new_account(instance_type)
            limit = service_quotas.increases(account.region).get(
                service_quotas.code_of(name), default
            )
            if limit is not None and count > limit:
                return {"name": name, "limit": f"{limit:g}", "count": str(count)}
        return None

    return condition


def of_cluster(use: str) -> Callable[[Request, Account], Instances]:
    """The machines of a job."""

    def found(request: Request, account: Account) -> Instances:
        cluster = jmespath.search(CLUSTERS[use], request) or {}
        if cluster.get("InstanceType"):
            yield str(cluster["InstanceType"]), int(cluster.get("InstanceCount", 1))

    return found


def of_tuning(request: Request, account: Account) -> Instances:
    """The machines of the training jobs that a tuning job runs at a time."""
    at_once = jmespath.search(AT_ONCE, request) or 1
    for cluster in jmespath.search(TUNED, request):
        if cluster.get("InstanceType"):
            yield str(cluster["InstanceType"]), at_once * int(cluster.get("InstanceCount", 1))


def of_endpoint(request: Request, account: Account) -> Instances:
    """The machines of the configuration that an endpoint is to have."""
    config = account.endpoint_config(str(request.get("EndpointConfigName", "")))
    for variant in config.get("ProductionVariants", ()):
        if variant.get("InstanceType"):
            yield str(variant["InstanceType"]), int(variant.get("InitialInstanceCount", 1))


def beyond_vcpus(request: Request, account: Account) -> Mapping[str, str] | None:
    """Nodes of a group, in virtual CPUs, that the quota of their family has no room for."""
    market = "SPOT" if request.get("capacityType") == "SPOT" else "ON_DEMAND"
    count = int((request.get("scalingConfig") or {}).get("desiredSize", 2))  # EKS's default is 2
    return _beyond(request.get("instanceTypes") or [], market, count, account)


def beyond_vcpus_of_instances(request: Request, account: Account) -> Mapping[str, str] | None:
    """The same of instances themselves."""
    options = request.get("InstanceMarketOptions") or {}
    market = "SPOT" if options.get("MarketType") == "spot" else "ON_DEMAND"
    kinds = [request["InstanceType"]] if request.get("InstanceType") else []
    return _beyond(kinds, market, int(request.get("MinCount") or 1), account)


def _beyond(
    kinds: list[Any], market: str, count: int, account: Account
) -> Mapping[str, str] | None:
    for kind in kinds if account.is_new else ():
        quota, each = table.vcpu_quota(str(kind), market), table.vcpus(str(kind))
        if quota is None:
            continue
        limit = service_quotas.increases(account.region).get(quota.code, quota.default)
        if count * (each or 1) > limit:
            return {"limit": f"{limit:g}", "reason": REASONS[market].format(limit=f"{limit:g}")}
    return None


REASONS = {
    "ON_DEMAND": (
        "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU "
        "capacity than your current vCPU limit of {limit} allows for the instance bucket that the "
        "specified instance type belongs to. Please visit "
        "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. "
        "Launching EC2 instance failed."
    ),
    "SPOT": (
        "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count "
        "exceeded. Launching EC2 instance failed."
    ),
}

SAGEMAKER_TEXT = (
    "The account-level service limit '{name}' is {limit} Instances, with current utilization of 0 "
    "Instances and a request delta of {count} Instances. Please contact AWS support to request an "
    "increase for this limit."
)
ISSUE = "zenml-io/zenml issue 847; aws-samples/sagemaker-custom-project-templates issue 51"

QUOTAS: tuple[Refusal, ...] = (
    *(
        Refusal(
            service="sagemaker",
            operations=(f"Create{use.title()}Job",),
            condition=beyond_sagemaker(use, of_cluster(use)),
            code="ResourceLimitExceeded",
            text=SAGEMAKER_TEXT,
            source=ISSUE,
        )
        for use in CLUSTERS
    ),
    Refusal(
        service="sagemaker",
        operations=("CreateHyperParameterTuningJob",),
        condition=beyond_sagemaker("training", of_tuning),
        code="ResourceLimitExceeded",
        text=SAGEMAKER_TEXT,
        source=ISSUE,
    ),
    Refusal(
        service="sagemaker",
        operations=("CreateEndpoint", "UpdateEndpoint"),
        condition=beyond_sagemaker("endpoint", of_endpoint),
        code="ResourceLimitExceeded",
        text=SAGEMAKER_TEXT,
        source=ISSUE,
    ),
    Refusal(
        service="eks",
        operations=("CreateNodegroup",),
        condition=beyond_vcpus,
        code="InvalidRequestException",
        text="AsgInstanceLaunchFailures: {reason}",
        source=(
            "EKS API, Issue: AsgInstanceLaunchFailures; AWS makes the group and says CREATE_FAILED "
            "with this health issue later, here it is told at once"
        ),
    ),
    Refusal(
        service="ec2",
        operations=("RunInstances",),
        condition=beyond_vcpus_of_instances,
        code="VcpuLimitExceeded",
        text=(
            "You have requested more vCPU capacity than your current vCPU limit of {limit} allows "
            "for the instance bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        ),
        source="EC2 API, error codes: VcpuLimitExceeded",
    ),
)
"""Of a new account alone."""
