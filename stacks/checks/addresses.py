"""Address ranges of the environments: those that overlap can never be connected."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from infra.errors import UserError
from stacks.checks.check import CheckResult, Platform, failed, passed, unknown
from stacks.settings.load import environments, load
from stacks.settings.model import Settings

CHECK = "addresses"
LOCAL_ONLY = "local"
"""Lives on one machine and is connected to nothing."""


def check(platform: Platform) -> Iterator[CheckResult]:
    """The environment's primary range shares no address with that of another environment.

    Pod ranges are left out: they are not routed outside their VPC, so all may be the same.
    """
    own = platform.settings.network.cidr_block
    for other in environments():
        if other in (platform.env, LOCAL_ONLY):
            continue
        try:
            settings = load(other)
        except UserError as error:
            yield unknown(CHECK, other, error.problem.splitlines()[0])
            continue
        yield compared(platform.env, own, other, settings)


def compared(env: str, own: str, other: str, settings: Settings) -> CheckResult:
    """What two environments' ranges say about each other."""
    theirs = settings.network.cidr_block
    subject = f"{env} and {other}"
    if ipaddress.ip_network(own).overlaps(ipaddress.ip_network(theirs)):
        return failed(
            CHECK,
            subject,
            f"must not overlap, got {own} and {theirs}",
            "give plinth:network.cidr_block in "
            f"stacks/environments/Pulumi.{env}.yaml a range of its own",
        )
    return passed(CHECK, subject, f"{own} and {theirs} do not overlap")
