"""Whether AWS offers the interface endpoints of the network, in its zones and with policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stacks.checks.check import CheckResult, Platform, failed, passed
from stacks.settings.model import FoundationSettings

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ID = "endpoint services"
SETTING = "plinth:network.interface_endpoints of the foundation"


def check(platform: Platform) -> Iterator[CheckResult]:
    """EC2 creates no endpoint in a zone that its service lacks, and none with a policy that it
    does not support."""
    wanted = platform.of_type(ENDPOINT)
    if not wanted:
        return
    settings = platform.settings
    assert isinstance(settings, FoundationSettings)  # of no other stack is it asked
    ec2 = platform.clients("ec2")
    names = {
        zone["ZoneId"]: zone["ZoneName"]
        for zone in ec2.describe_availability_zones()["AvailabilityZones"]
    }
    zones = settings.environment.availability_zone_ids
    if absent := [zone for zone in zones if zone not in names]:
        yield failed(
            ID,
            "zones",
            f"must be zones of {settings.environment.account.region} for this account, got "
            f"{', '.join(absent)}",
            f"choose of {', '.join(sorted(names))} in availability_zone_ids",
        )
    found = _services(ec2, [str(one.inputs.get("serviceName")) for one in wanted])
    for endpoint in wanted:
        service = str(endpoint.inputs.get("serviceName"))
        interface = endpoint.inputs.get("vpcEndpointType") == "Interface"
        needed = {names[zone]: zone for zone in zones if zone in names} if interface else {}
        has_policy = endpoint.inputs.get("policy") is not None
        yield _offered(service, found.get(service), needed, has_policy)


def _services(ec2: Any, names: list[str]) -> dict[str, Mapping[str, Any]]:
    """What EC2 says of services, by name; asked by a filter, which passes over unknown ones."""
    filters = [{"Name": "service-name", "Values": sorted(set(names))}]
    pages = ec2.get_paginator("describe_vpc_endpoint_services").paginate(Filters=filters)
    found: dict[str, Mapping[str, Any]] = {}
    for page in pages:
        for one in page["ServiceDetails"]:
            merged = found.setdefault(one["ServiceName"], {"zones": set(), "policy": True})
            merged["zones"].update(one["AvailabilityZones"])
            merged["policy"] &= one["VpcEndpointPolicySupported"]  # type: ignore[index]
    return found


def _offered(
    service: str, found: Mapping[str, Any] | None, zones: Mapping[str, str], has_policy: bool
) -> CheckResult:
    if found is None:
        return failed(
            ID, service, "must be offered in this region, is not", f"leave it out: {SETTING}"
        )
    if missing := [zone for name, zone in zones.items() if name not in found["zones"]]:
        return failed(
            ID,
            service,
            f"must be offered in every zone of the network, is not in {', '.join(missing)}",
            f"leave it out ({SETTING}), or choose other availability_zone_ids",
        )
    if has_policy and not found["policy"]:
        return failed(
            ID,
            service,
            "must take an endpoint policy, does not: EC2 refuses one",
            f"leave it out: {SETTING}",
        )
    return passed(ID, service, "is offered" + (f" in {len(zones)} zones" if zones else ""))
