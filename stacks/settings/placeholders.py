"""Values that stand in the files until somebody fills them in: accounts, images, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from stacks.settings.environment import is_placeholder
from stacks.settings.model import ClusterSettings, FoundationSettings, Settings, WorkloadSettings

NO_IMAGE = f"sha256:{'0' * 64}"
EXAMPLE = re.compile(r"[@.]example\.(com|net|org)$")
"""Domains that nobody has (RFC 2606)."""

EXAMPLE_ADDRESSES = tuple(map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
"""Addresses that nobody has (RFC 5737)."""


def placeholders(settings: Settings) -> Iterator[tuple[str, str]]:
    """Key and value of whatever of a stack, or of its environment, is not filled in."""
    environment = settings.environment
    if is_placeholder(environment.account.account_id):
        yield "account.account_id", environment.account.account_id
    for env, account_id in environment.accounts.environments.items():
        if is_placeholder(account_id):
            yield f"accounts.environments.{env}", account_id
    match settings:
        case FoundationSettings():
            yield from (
                ("plinth:alerts.emails", one) for one in settings.alerts.emails if _is_example(one)
            )
        case ClusterSettings():
            yield from (
                ("plinth:cluster.public_access_cidrs", one)
                for one in settings.cluster.public_access_cidrs
                if _is_nobodys(one)
            )
        case WorkloadSettings() if settings.image.digest == NO_IMAGE:
            yield "plinth:image.digest", f"{NO_IMAGE[:15]}..."


def _is_example(email: str) -> bool:
    return EXAMPLE.search(email) is not None


def _is_nobodys(cidr: str) -> bool:
    network = ip_network(cidr)
    return isinstance(network, IPv4Network) and any(map(network.overlaps, EXAMPLE_ADDRESSES))
