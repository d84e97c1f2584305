"""What a security group lets through, as a set: protocol, ports and the other side.

Rules that are split, merged, reordered or spelled otherwise are the same flows (EC2's API
reference, IpPermission: `-1` is every protocol, 6 is tcp).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.reading.networks import added, network, networks
from policies.reading.principals import listed

LISTS: Mapping[str, Mapping[str, str]] = {
    "aws:ec2/securityGroup:SecurityGroup": {"ingress": "from", "egress": "to"},
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {"ingress": "from", "egress": "to"},
    "aws:ec2/managedPrefixList:ManagedPrefixList": {"entries": "from"},
    "aws-native:ec2:SecurityGroup": {"securityGroupIngress": "from", "securityGroupEgress": "to"},
}
"""Types that hold rules -> the input, and the side that its rules name."""

RULES: Mapping[str, str] = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "from",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "to",
    "aws:ec2/securityGroupRule:SecurityGroupRule": "",
    "aws-native:ec2:SecurityGroupIngress": "from",
    "aws-native:ec2:SecurityGroupEgress": "to",
}
"""Types that are a rule -> its side; empty: `type` says it."""

SIDES = (
    "cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "cidrIpv4", "cidrIpv6",
    "prefixListId", "referencedSecurityGroupId", "sourceSecurityGroupId", "cidrIp",
    "sourcePrefixListId", "destinationPrefixListId", "destinationSecurityGroupId",
    "sourceSecurityGroupName", "cidr",
)  # fmt: skip
"""Inputs of a rule that name the other side."""

PROTOCOLS = {"-1": "all", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
PORTS = (0, 65_535)


@dataclass(frozen=True, slots=True)
class Flow:
    """One protocol and range of ports, and who is on the other side."""

    way: str
    protocol: str
    low: int
    high: int
    other: str

    def __str__(self) -> str:
        ports = f" {self.low}-{self.high}" if (self.low, self.high) != PORTS else ""
        return f"{self.protocol}{ports} {self.way} {self.other}"

    def holds(self, one: Flow) -> bool:
        """Whether its protocol and ports hold those of another."""
        return (
            self.way == one.way
            and self.protocol in ("all", one.protocol)
            and self.low <= one.low
            and one.high <= self.high
        )


def is_ruled(token: str, root: str) -> bool:
    """Whether this input of this type is a part of what is let through."""
    return root in LISTS.get(token, ()) or (token in RULES and root in (*SIDES, *SHAPE))


SHAPE = ("ipProtocol", "protocol", "fromPort", "toPort", "self", "type")


def flows(resource: Resource | None) -> list[Flow] | None:
    """All that it lets through; None for another type, or where something is not known."""
    if resource is None or resource.type not in {*LISTS, *RULES}:
        return None
    inputs = resource.inputs.value
    found: list[Flow] = []
    for way, rule in _rules(resource.type, inputs):
        if not isinstance(rule, Mapping) or UNKNOWN in _texts(rule):
            return None
        try:
            found += _of_rule(way, rule)
        except ValueError:
            return None  # ports that are no numbers
    return found


def _rules(token: str, inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for root, way in LISTS.get(token, {}).items():
        yield from ((way, rule) for rule in listed(inputs.get(root)))
    if token in RULES:
        ways = {"ingress": "from", "egress": "to"}
        yield RULES[token] or ways.get(str(inputs.get("type")), "?"), inputs


def _texts(rule: Mapping[str, Any]) -> list[Any]:
    return [each for name in (*SIDES, *SHAPE) for each in listed(rule.get(name))]


def _of_rule(way: str, rule: Mapping[str, Any]) -> Iterator[Flow]:
    said = str(rule.get("ipProtocol", rule.get("protocol", "-1"))).lower()
    protocol = PROTOCOLS.get(said, said)
    low, high = (rule.get(name) for name in ("fromPort", "toPort"))
    whole = protocol == "all" or low is None or str(low) == "-1"
    ports = PORTS if whole else (int(str(low)), int(str(low if high is None else high)))
    others = [str(each) for name in SIDES for each in listed(rule.get(name))]
    if str(rule.get("self")).lower() == "true":
        others.append("itself")
    for other in others:
        yield Flow(way, protocol, *ports, str(network(other) or other))


def let_through(old: Resource | None, new: Resource | None) -> list[Flow] | None:
    """What goes through from now on and did not before; None where that cannot be said."""
    before, after = flows(old), flows(new)
    if before is None or after is None:
        return None
    return [one for one in after if not _is_covered(one, [f for f in before if f.holds(one)])]


def _is_covered(one: Flow, among: Sequence[Flow]) -> bool:
    if any(each.other == one.other for each in among):
        return True
    mine = networks([one.other])
    return bool(mine) and not added(networks([each.other for each in among]), mine)


def some(found: Sequence[Flow]) -> str:
    """The first of them, for a line of a report."""
    more = f" and {len(found) - 3} more" if found[3:] else ""
    return ", ".join(map(str, found[:3])) + more


def was_open(text: str, before: Iterable[str]) -> bool:
    """Whether `what from range` was there before, from a range that holds this one."""
    what, _, source = text.rpartition(" from ")
    mine = networks([source])
    known = networks(each.removeprefix(f"{what} from ") for each in before)
    return bool(mine) and not added(known, mine)
