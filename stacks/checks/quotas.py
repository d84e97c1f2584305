"""Service quotas against what the environment can scale to, across all that shares a quota.

A quota is the account's, so what the stacks of an environment may use of it adds up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policies.data import Resource
from stacks.checks import quota_table as table
from stacks.checks.check import CheckResult, Platform, Unanswered, attempt, failed, passed, unknown
from stacks.sizing.fleets import PIPELINE, Fleet, fleets

CHECK = "quotas"


@dataclass
class Demand:
    """How much of one quota an environment may use at its largest, and by what."""

    name: str
    service: str
    code: str | None
    """None where the quota is found by its name."""

    unit: str
    amount: float = 0
    by: list[str] = field(default_factory=list)

    def add(self, amount: float, what: str) -> None:
        if amount:
            self.amount += amount
            self.by.append(f"{what} {amount:g}")


def check(platform: Platform) -> Iterator[CheckResult]:
    """Every quota that the environment counts against, at the largest size its files allow."""
    ask = Quotas(platform)
    for demand in demands(platform):
        yield _verdict(demand, ask)
    for fleet in (fleet for found in platform.by_stack.values() for fleet in fleets(found)):
        if fleet.use == "node" and _vcpu_quota(fleet) is None:
            yield unknown(
                CHECK, fleet.name, f"no quota is known here for {fleet.instance_type} nodes"
            )


def demands(platform: Platform) -> list[Demand]:
    """How much of each quota the environment may use, its stacks together."""
    by_stack = {stack.layer: _instances(found) for stack, found in platform.by_stack.items()}
    return [*_added_up(by_stack), *_counted_demands(platform)]


def _instances(resources: Sequence[Resource]) -> list[Demand]:
    """What one stack may use of the quotas for instances."""
    found = fleets(resources)
    return [*_vcpu_demands(found), *_sagemaker_demands(resources, found)]


def _added_up(by_stack: Mapping[str, Iterable[Demand]]) -> list[Demand]:
    """Demands of several stacks on the same quotas as one each; each says which stack it is of.

    Two stacks may call different things by the same name, such as an endpoint.
    """
    found: dict[str, Demand] = {}
    for layer, demands_ in by_stack.items():
        for demand in demands_:
            total = found.setdefault(demand.name, replace(demand, amount=0, by=[]))
            total.amount += demand.amount
            total.by += [f"{layer}: {by}" if len(by_stack) > 1 else by for by in demand.by]
    return list(found.values())


def increase(demand: Demand, code: str) -> str:
    """The command that asks AWS for as much as is needed."""
    return (
        f"aws service-quotas request-service-quota-increase --service-code {demand.service} "
        f"--quota-code {code} --desired-value {demand.amount:g}"
    )


def _verdict(demand: Demand, ask: Quotas) -> CheckResult:
    needed = f"{demand.amount:g} {demand.unit} at most ({', '.join(demand.by)})"
    found = attempt(lambda: ask.value(demand))
    if isinstance(found, Unanswered):
        return unknown(CHECK, demand.name, f"needs {needed}; {found.reason}")
    code, value = found
    if demand.amount <= value:
        return passed(CHECK, demand.name, f"{value:g}, needs {needed}")
    return failed(
        CHECK,
        demand.name,
        f"must be at least {demand.amount:g}, got {value:g}: needs {needed}",
        f"{increase(demand, code)}, or lower the sizes named",
    )


class Quotas:
    """The account's quotas, each service asked once."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._by_service: dict[str, list[Mapping[str, Any]]] = {}

    def value(self, demand: Demand) -> tuple[str, float]:
        """Code and value of the account's own quota."""
        for quota in self._of(demand.service):
            if quota["QuotaCode"] == demand.code or (
                demand.code is None and quota["QuotaName"] == demand.name
            ):
                return quota["QuotaCode"], quota["Value"]
        # a quota that the account never changed may be missing from its own list
        client = self._platform.clients("service-quotas")
        if demand.code is None:
            pages = client.get_paginator("list_aws_default_service_quotas").paginate(
                ServiceCode=demand.service
            )
            named = [q for page in pages for q in page["Quotas"] if q["QuotaName"] == demand.name]
            return (named[0]["QuotaCode"], named[0]["Value"]) if named else ("", 0.0)
        answer = client.get_aws_default_service_quota(
            ServiceCode=demand.service, QuotaCode=demand.code
        )
        return demand.code, answer["Quota"]["Value"]

    def _of(self, service: str) -> list[Mapping[str, Any]]:
        if service not in self._by_service:
            client = self._platform.clients("service-quotas")
            pages = client.get_paginator("list_service_quotas").paginate(ServiceCode=service)
            self._by_service[service] = [quota for page in pages for quota in page["Quotas"]]
        return self._by_service[service]


def _vcpu_quota(fleet: Fleet) -> table.Quota | None:
    if fleet.market == "CAPACITY_BLOCK" or table.vcpus(fleet.instance_type) is None:
        return None
    return table.vcpu_quota(fleet.instance_type, fleet.market)


def _vcpu_demands(everything: list[Fleet]) -> list[Demand]:
    """vCPUs by quota. Of the types and markets that one pool chooses from, the largest counts."""
    largest: dict[tuple[str, str], tuple[table.Quota, float, str]] = {}
    for fleet in everything:
        quota = _vcpu_quota(fleet) if fleet.use == "node" else None
        if quota is None:
            continue
        amount = float(fleet.high * (table.vcpus(fleet.instance_type) or 0))
        key = (quota.code, fleet.name)
        if key not in largest or largest[key][1] < amount:
            largest[key] = (quota, amount, f"{fleet.name} {fleet.high} x {fleet.instance_type}:")
    demands: dict[str, Demand] = {}
    for quota, amount, what in largest.values():
        made = Demand(quota.name, quota.service, quota.code, "vCPUs")
        demands.setdefault(quota.code, made).add(amount, what)
    return [demand for demand in demands.values() if demand.amount]


def _sagemaker_demands(resources: Sequence[Resource], everything: list[Fleet]) -> list[Demand]:
    """Instances by type and use: endpoints at their largest, jobs as many as may run at once."""
    at_once = {r.name: _parallel_steps(r) for r in resources if r.type == PIPELINE}
    demands: dict[str, Demand] = {}
    jobs: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for fleet in everything:
        if fleet.use == "node":
            continue
        name = f"{fleet.instance_type} {table.SAGEMAKER_USES[fleet.use]}"
        demand = demands.setdefault(name, Demand(name, "sagemaker", None, "instances"))
        if fleet.use == "endpoint":
            demand.add(fleet.high, fleet.name)
            demand.add(fleet.in_update, f"{fleet.name} while updated")
        else:
            jobs[name, fleet.name.partition("/")[0]].append(fleet.high)
    for (name, pipeline), counts in jobs.items():
        largest = sorted(counts, reverse=True)[: at_once[pipeline]]
        demands[name].add(sum(largest), f"{pipeline} steps at once")
    return list(demands.values())


def _parallel_steps(pipeline: Resource) -> int:
    bound = pipeline.inputs.get("parallelismConfiguration", "maxParallelExecutionSteps")
    return int(bound) if bound else 50  # the service's own bound (SageMaker quotas, pipelines)


Counting = Callable[[Platform], Mapping[str, float]]


def _count(type_: str, **wanted: str) -> Counting:
    """Count resources of a type whose inputs are as wanted."""

    def count(platform: Platform) -> Mapping[str, float]:
        found = [
            resource
            for resource in platform.everything
            if resource.type == type_
            and all((resource.inputs.get(k) or "") == v for k, v in wanted.items())
        ]
        return {"this environment": len(found)} if found else {}

    return count


def _nat_gateways(platform: Platform) -> Mapping[str, float]:
    """Of the zones, the one with most gateways counts."""
    subnets = Counter(
        str(gateway.dependencies.get("subnetId", (gateway.name,)))
        for gateway in platform.everything
        if gateway.type == "aws:ec2/natGateway:NatGateway"
    )
    return {"the busiest zone": max(subnets.values())} if subnets else {}


def _others(operation: str, query: str) -> Counting:
    """Count what the account has already and what is not this environment's."""

    def count(platform: Platform) -> Mapping[str, float]:
        import jmespath

        def described() -> Any:
            return getattr(platform.clients("ec2"), operation)()

        found = attempt(described)
        if isinstance(found, Unanswered):
            return {}
        tagged = [
            item
            for item in jmespath.search(query, found) or ()
            if {"Key": "environment", "Value": platform.env} not in (item.get("Tags") or ())
        ]
        return {"others in the account": len(tagged)}

    return count


COUNTED: tuple[tuple[table.Quota, str, tuple[Counting, ...]], ...] = (
    (table.VPCS, "VPCs",
     (_count("aws:ec2/vpc:Vpc"), _others("describe_vpcs", "Vpcs"))),
    (table.ELASTIC_IPS, "addresses",
     (_count("aws:ec2/eip:Eip"), _others("describe_addresses", "Addresses"))),
    (table.NAT_GATEWAYS, "gateways", (_nat_gateways,)),
    (table.INTERNET_GATEWAYS, "gateways",
     (_count("aws:ec2/internetGateway:InternetGateway"),
      _others("describe_internet_gateways", "InternetGateways"))),
    (table.INTERFACE_ENDPOINTS, "endpoints",
     (_count("aws:ec2/vpcEndpoint:VpcEndpoint", vpcEndpointType="Interface"),)),
    (table.GATEWAY_ENDPOINTS, "endpoints",
     (_count("aws:ec2/vpcEndpoint:VpcEndpoint", vpcEndpointType="Gateway"),)),
    (table.SUBNETS, "subnets", (_count("aws:ec2/subnet:Subnet"),)),
    (table.EKS_CLUSTERS, "clusters", (_count("aws:eks/cluster:Cluster"),)),
    (table.NODE_GROUPS, "groups", (_count("aws:eks/nodeGroup:NodeGroup"),)),
)  # fmt: skip
"""Quota, its unit, and what counts against it; the first is this environment's own part."""


def _counted_demands(platform: Platform) -> Iterator[Demand]:
    for quota, unit, countings in COUNTED:
        demand = Demand(quota.name, quota.service, quota.code, unit)
        for count in countings:
            for what, amount in count(platform).items():
                demand.add(amount, what)
            if not demand.by:  # this environment needs none of it
                break
        if demand.by:
            yield demand
