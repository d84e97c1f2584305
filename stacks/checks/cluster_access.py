"""Whether whoever deploys reaches the API of the cluster, and is let in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from stacks.checks.caller import caller_arn
from stacks.checks.check import CheckResult, Clients, Platform, failed, passed
from stacks.settings.model import ClusterSettings

CLUSTER, ENTRY = "aws:eks/cluster:Cluster", "aws:eks/accessEntry:AccessEntry"
REACH, ACCESS = "reach", "access"
OWN_ADDRESS = "https://checkip.amazonaws.com"
"""AWS's own answer to where one comes from."""

IN_A_RUNNER = "CODEBUILD_BUILD_ARN"
"""Environment variable of every build (CodeBuild user guide, environment variables)."""


def caller_access(settings: ClusterSettings, clients: Clients) -> dict[str, str]:
    """The entry of whoever deploys: nobody's who has one, or whom the file should have named.

    A cluster lets nobody in who has no entry, its creator included (EKS user guide, access
    entries), and what is in it is made by the caller.
    """
    if settings.cluster.admin_role_arns:
        return {}
    arn = caller_arn(clients)
    has_one = {settings.names.role_arn(name) for name in ("deployer", "ml-engineer")}
    return {} if arn in has_one else {"caller": arn}


def check_access(platform: Platform) -> Iterator[CheckResult]:
    """The caller is among the access entries: without one the API answers 401 Unauthorized."""
    settings = platform.settings
    assert isinstance(settings, ClusterSettings)  # of no other stack is it asked
    entries = {one.inputs.get("principalArn") for one in platform.of_type(ENTRY)}
    caller = caller_arn(platform.clients)
    if caller in entries:
        yield passed(ACCESS, caller, "has an access entry")
    elif caller_access(settings, platform.clients):
        yield passed(ACCESS, caller, f"gets an access entry by `plinth up {platform.stack}`")
    else:
        yield failed(
            ACCESS,
            caller,
            "must have an access entry, or the API of the cluster answers 401: there are those of "
            f"{', '.join(sorted(map(str, entries)))}",
            "name it in plinth:cluster.admin_role_arns, or take one of these roles",
        )


def check_reach(platform: Platform) -> Iterator[CheckResult]:
    """The API answers where one deploys from: an address that is let in, or a runner in the VPC."""
    for cluster in platform.of_type(CLUSTER):
        name = cluster.inputs.get("name")
        cidrs = cluster.inputs.get("vpcConfig", "publicAccessCidrs") or []
        if IN_A_RUNNER in os.environ:
            yield passed(REACH, name, "from here, a build in the VPC")
        elif not cluster.inputs.get("vpcConfig", "endpointPublicAccess"):
            yield failed(
                REACH,
                name,
                "must be reached from here, is private",
                f"deploy it from the VPC: aws codebuild start-build --project-name "
                f"{platform.names.of('runner')}; or name your address in "
                "plinth:cluster.public_access_cidrs",
            )
        else:
            yield _from_here(platform, name, cidrs)


def _from_here(platform: Platform, name: str, cidrs: list[str]) -> CheckResult:
    _, _, body = platform.fetch(OWN_ADDRESS, {})
    own = ip_address(body.decode().strip())
    if any(own in ip_network(cidr) for cidr in cidrs):
        return passed(REACH, name, f"lets {own} in, from which you deploy")
    return failed(
        REACH,
        name,
        f"must let {own} in, from which you deploy, lets {', '.join(cidrs)} in",
        f"add {own}/{own.max_prefixlen} to plinth:cluster.public_access_cidrs",
    )
