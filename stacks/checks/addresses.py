"""Address ranges of the environments: those that overlap can never be connected."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from infra.errors import UserError
from stacks.checks.check import CheckResult, Platform, failed, passed, unknown
from stacks.paths import shown
from stacks.settings.load import load_foundation
from stacks.settings.model import FoundationSettings
from stacks.stack_name import FOUNDATION, StackName, environments

CHECK = "addresses"


def check(platform: Platform) -> Iterator[CheckResult]:
    """The environment's primary range shares no address with that of another environment.

    Pod ranges are left out: they are not routed outside their VPC, so all may be the same.
    """
    settings = platform.settings
    assert isinstance(settings, FoundationSettings)
    for other in environments():
        if other == platform.env:
            continue
        try:
            theirs = load_foundation(other)
        except UserError as error:
            yield unknown(CHECK, other, error.problem.splitlines()[0])
            continue
        yield compared(settings, theirs)


def compared(own: FoundationSettings, other: FoundationSettings) -> CheckResult:
    """What two environments' ranges say about each other."""
    ours, theirs = own.network.cidr_block, other.network.cidr_block
    env = own.environment.name
    subject = f"{env} and {other.environment.name}"
    if ipaddress.ip_network(ours).overlaps(ipaddress.ip_network(theirs)):
        return failed(
            CHECK,
            subject,
            f"must not overlap, got {ours} and {theirs}",
            "give plinth:network.cidr_block in "
            f"{shown(StackName(env, FOUNDATION).file)} a range of its own",
        )
    return passed(CHECK, subject, f"{ours} and {theirs} do not overlap")
