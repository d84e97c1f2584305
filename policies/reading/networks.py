"""Sets of addresses: whether one is the internet, and what is in one and not in another."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

Network = IPv4Network | IPv6Network

BOUNDED = {4: 8, 6: 32}
"""Shortest prefix of public addresses that still names somebody: a wider range is the internet to
AWS (S3 user guide, The meaning of "public")."""


@cache
def network(text: str) -> Network | None:
    """The range that a text such as `10.0.0.0/8` names; None where it names none."""
    try:
        return ip_network(text, strict=False) if text[:1].isalnum() or text[:1] == ":" else None
    except ValueError:
        return None


def networks(values: Iterable[object]) -> list[Network]:
    """The ranges among these values, joined where they touch: two halves are the whole."""
    found = [each for value in values if isinstance(value, str) and (each := network(value))]
    four = [each for each in found if isinstance(each, IPv4Network)]
    six = [each for each in found if isinstance(each, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def is_internet(found: Iterable[Network]) -> bool:
    """Whether any of these is too wide to name somebody."""
    return any(each.prefixlen < BOUNDED[each.version] for each in found)


def is_private(found: Iterable[Network]) -> bool:
    """Whether all of these are of private networks."""
    return all(each.is_private and each.prefixlen > 0 for each in found)


def added(before: Iterable[Network], after: Iterable[Network]) -> list[Network]:
    """The ranges of the latter that the former do not contain."""
    known = list(before)
    return [each for each in after if not any(_within(each, other) for other in known)]


def _within(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)
