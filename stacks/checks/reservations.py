"""Capacity that was reserved: there in time, in the right zone, of the right type, and enough.

A pool names a reservation in its launch template or, under Karpenter, in its EC2NodeClass; EC2 says
what the reservation is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from policies.data import Resource
from stacks.checks.check import CheckResult, Platform, Unanswered, attempt, failed, passed, unknown
from stacks.contract import zone_of
from stacks.sizing.fleets import NODE_GROUP, NODE_POOL, fleets, launch_template

CHECK = "reservations"
USABLE = ("active", "scheduled")
"""States in which capacity is or will be there (EC2 API, CapacityReservation.State)."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a pool expects of the reservation it names."""

    pool: str
    selector: Mapping[str, Any]
    """What EC2 is asked for: an id, or filters by tags."""

    instance_type: str
    count: int
    """Instances that only the reservation can provide; none where the pool may buy others."""

    zones: tuple[str, ...]
    """Zone names or ids of the pool's subnets; empty where the program does not say."""

    block: bool
    """A Capacity Block, which ends on its own."""


def check(platform: Platform) -> Iterator[CheckResult]:
    """Every reservation that a pool names, against what EC2 knows of it."""
    for wanted in wishes(platform):
        found = attempt(lambda wanted=wanted: _described(platform, wanted))  # type: ignore[misc]
        if isinstance(found, Unanswered):
            yield unknown(CHECK, wanted.pool, f"its reservation: {found.reason}")
            continue
        problem = problem_of(wanted, found, datetime.now(UTC))
        if problem:
            yield failed(CHECK, wanted.pool, *problem)
        else:
            yield passed(CHECK, wanted.pool, "; ".join(map(_described_as, found)))


def wishes(platform: Platform) -> Iterator[Wanted]:
    """The reservations that pools name by id; a resource of this program has no id yet."""
    by_urn = {resource.urn: resource for resource in platform.resources}
    sizes = {fleet.name: fleet for fleet in fleets(platform.resources)}
    for group in platform.of_type(NODE_GROUP):
        template = launch_template(group, by_urn)
        named = template.get("capacityReservationSpecification") or {}
        target = named.get("capacityReservationTarget") or {}
        reservation_id = target.get("capacityReservationId")
        if isinstance(reservation_id, str) and reservation_id.startswith("cr-"):
            fleet = sizes[group.name]
            yield Wanted(
                pool=group.name,
                selector={"CapacityReservationIds": [reservation_id]},
                instance_type=fleet.instance_type,
                count=fleet.high,
                zones=tuple(_zones(group)),
                block=fleet.market == "CAPACITY_BLOCK",
            )
    yield from _karpenter(platform, sizes)


def _karpenter(platform: Platform, sizes: Mapping[str, Any]) -> Iterator[Wanted]:
    """Pools whose node class selects reservations by id or by tags."""
    classes = {
        node_class.inputs.get("metadata", "name"): node_class
        for node_class in platform.of_type("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
    }
    for pool in platform.of_type(NODE_POOL):
        spec = pool.inputs.get("spec", "template", "spec") or {}
        values = {term["key"]: term.get("values") for term in spec.get("requirements") or ()}
        node_class = classes.get((spec.get("nodeClassRef") or {}).get("name"))
        fleet = sizes.get(pool.name)
        if node_class is None or fleet is None:
            continue
        only = values.get("karpenter.sh/capacity-type") == ["reserved"]
        for term in node_class.inputs.get("spec", "capacityReservationSelectorTerms") or ():
            yield Wanted(
                pool=pool.name,
                selector=_selector(term),
                instance_type=fleet.instance_type,
                count=fleet.high if only else 0,
                zones=tuple(values.get("topology.k8s.aws/zone-id") or ()),
                block=False,
            )


def _selector(term: Mapping[str, Any]) -> Mapping[str, Any]:
    if "id" in term:
        return {"CapacityReservationIds": [term["id"]]}
    tags = term.get("tags") or {}
    return {"Filters": [{"Name": f"tag:{k}", "Values": [v]} for k, v in sorted(tags.items())]}


def _zones(group: Resource) -> Iterator[str]:
    """Of its subnets, which another stack has: a synth knows of them where they are."""
    for subnet_id in group.inputs.get("subnetIds") or ():
        if zone := zone_of(subnet_id):
            yield zone


def _described(platform: Platform, wanted: Wanted) -> list[Mapping[str, Any]]:
    ec2 = platform.clients("ec2")
    answer = ec2.describe_capacity_reservations(**wanted.selector)
    found: list[Mapping[str, Any]] = answer["CapacityReservations"]
    return found


def problem_of(
    wanted: Wanted, found: list[Mapping[str, Any]], now: datetime
) -> tuple[str, str] | None:
    """What would leave the pool without nodes, and the fix: all that it selects must fit."""
    if not found:
        return f"must exist, none matches {wanted.selector}", "reserve capacity, or tag it so"
    problems = (mismatch(wanted, reservation, now) for reservation in found)
    problem = next((problem for problem in problems if problem), None)
    if problem:
        return problem
    total = sum(reservation["TotalInstanceCount"] for reservation in found)
    if total < wanted.count:
        return (
            f"must hold the pool's {wanted.count} instances, holds {total}",
            "lower the pool's max_size or enlarge the reservation",
        )
    return None


def mismatch(wanted: Wanted, found: Mapping[str, Any], now: datetime) -> tuple[str, str] | None:
    """The first thing about a reservation that would leave the pool without nodes, and the fix."""
    for holds, problem, fix in _expectations(wanted, found, now):
        if not holds:
            return problem, fix
    return None


def _expectations(
    wanted: Wanted, found: Mapping[str, Any], now: datetime
) -> Iterator[tuple[bool, str, str]]:
    """What must hold, what is wrong if it does not, and the fix."""
    state, instance_type = found["State"], found["InstanceType"]
    ends: datetime | None = found.get("EndDate")
    starts: datetime | None = found.get("StartDate")
    yield (
        state in USABLE,
        f"must be active or scheduled, is {state}",
        "reserve capacity anew",
    )
    yield (
        ends is None or ends > now,
        f"must not have ended, ended {_when(ends)}",
        "reserve capacity anew",
    )
    yield (
        starts is None or starts <= now or not wanted.block,
        f"must have begun, begins {_when(starts)}",
        "set the pool's sizes to 0 until then",
    )
    yield (
        instance_type == wanted.instance_type,
        f"must be for {wanted.instance_type}, is for {instance_type}",
        "give the pool the reservation's instance type",
    )
    zone = {found.get("AvailabilityZone"), found.get("AvailabilityZoneId")}
    yield (
        set(wanted.zones) <= zone,
        f"must be in the pool's zone {', '.join(wanted.zones)}, is in {_zone(found)}",
        "put the pool into that zone, by its id: names differ between accounts",
    )


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


def _zone(found: Mapping[str, Any]) -> Any:
    return found.get("AvailabilityZoneId") or found.get("AvailabilityZone")


def _described_as(found: Mapping[str, Any]) -> str:
    until = f" until {_when(found['EndDate'])}" if found.get("EndDate") else ""
    return f"{found['TotalInstanceCount']} x {found['InstanceType']} in {_zone(found)}{until}"
