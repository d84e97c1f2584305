"""What a destroyed environment leaves behind in AWS, and what keeps its VPC from going.

Only things in the environment's own VPC, found by its tags, or whose exact names follow from the
settings: never a name prefix, which another environment may share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import UserError
from infra.naming import ENDPOINT_KINDS, Names
from stacks.settings.model import ClusterSettings, Settings, WorkloadSettings
from stacks.targets.aws_clients import Clients

ROUND_SECONDS = 20
CLUSTER_TAG = "kubernetes.io/cluster/{cluster}"
"""Karpenter and the AWS load balancer controller tag with it what they make."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Owned:
    """Where the environment's leftovers can be."""

    names: Names
    vpc_ids: tuple[str, ...]
    """None when the VPC is gone; two where a replacement of it was cut off."""


def owned(clients: Clients, names: Names, known: Collection[str] = ()) -> Owned:
    """Find the environment's VPC: the one that carries its tags.

    UserError where several do, unless the environment's state knows them all.
    """
    tags = {"Name": names.of("vpc"), "environment": names.env, "project": "plinth"}
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    found = [vpc["VpcId"] for vpc in clients("ec2").describe_vpcs(Filters=filters)["Vpcs"]]
    if len(found) > 1 and not set(found) <= set(known):
        raise UserError(
            f"one VPC must carry the tags of {names.env}, got {', '.join(found)}",
            fix="take the tags off the VPCs that are not this environment's",
        )
    return Owned(names=names, vpc_ids=tuple(found))


def log_groups(settings: Settings) -> list[str]:
    """Log groups that services make for the things of a stack, by exact name."""
    names = settings.names
    match settings:
        case ClusterSettings():
            return [f"/aws/eks/{names.of('cluster')}/cluster"]
        case WorkloadSettings():
            models = [settings.llm.model] if settings.llm else []
            endpoints = [names.of(name) for name in (*ENDPOINT_KINDS, *models)]
            functions = [names.of(role) for role in ("stream", "retraining")]
            return [
                *(f"/aws/lambda/{name}" for name in functions),
                *(f"/aws/sagemaker/Endpoints/{name}" for name in endpoints),
            ]
    return []


def release_vpc(clients: Clients, what: Owned) -> list[str]:
    """One round: delete what holds the VPC and belongs to nobody; what was deleted.

    Karpenter's instances outlive it when it was deleted first; interfaces outlive their nodes;
    GuardDuty puts an endpoint and a security group of its own into every VPC with EKS.
    """
    if not what.vpc_ids:
        return []
    ec2 = clients("ec2")
    inside = {"Name": "vpc-id", "Values": [*what.vpc_ids]}
    return [
        *_instances(ec2, inside, what.names.of("cluster")),
        *_guard_duty(ec2, inside),
        *_interfaces(ec2, inside),
    ]


def _instances(ec2: Any, inside: dict[str, Any], cluster: str) -> list[str]:
    filters = [
        inside,
        {"Name": f"tag:{CLUSTER_TAG.format(cluster=cluster)}", "Values": ["owned"]},
        {"Name": "tag-key", "Values": ["karpenter.sh/nodepool"]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    found = [
        instance["InstanceId"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    if found:
        ec2.terminate_instances(InstanceIds=found)
    return found


def _guard_duty(ec2: Any, inside: dict[str, Any]) -> list[str]:
    managed = [inside, {"Name": "tag:GuardDutyManaged", "Values": ["true"]}]
    endpoints = [
        endpoint["VpcEndpointId"]
        for endpoint in ec2.describe_vpc_endpoints(Filters=managed)["VpcEndpoints"]
        if endpoint["State"] not in ("deleting", "deleted")
    ]
    if endpoints:
        ec2.delete_vpc_endpoints(VpcEndpointIds=endpoints)
    groups = ec2.describe_security_groups(Filters=managed)["SecurityGroups"]
    return endpoints + [
        group["GroupId"]
        for group in groups
        if _deleted(ec2.delete_security_group, GroupId=group["GroupId"])
    ]


def _interfaces(ec2: Any, inside: dict[str, Any]) -> list[str]:
    """Interfaces that are attached to nothing and are no part of an endpoint or a gateway."""
    free = [inside, {"Name": "status", "Values": ["available"]}]
    endpoints = ec2.describe_vpc_endpoints(Filters=[inside])["VpcEndpoints"]
    gateways = ec2.describe_nat_gateways(Filters=[inside])["NatGateways"]
    parts = {
        *(name for endpoint in endpoints for name in endpoint.get("NetworkInterfaceIds") or ()),
        *(
            address.get("NetworkInterfaceId")
            for gateway in gateways
            for address in gateway.get("NatGatewayAddresses") or ()
        ),
    }
    return [
        interface["NetworkInterfaceId"]
        for interface in ec2.describe_network_interfaces(Filters=free)["NetworkInterfaces"]
        if interface["NetworkInterfaceId"] not in parts
        and _deleted(
            ec2.delete_network_interface, NetworkInterfaceId=interface["NetworkInterfaceId"]
        )
    ]


def _deleted(delete: Callable[..., Any], **request: str) -> bool:
    """Whether it could be deleted; what is still in use is tried again in the next round."""
    try:
        delete(**request)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("DependencyViolation", "InvalidNetworkInterface.InUse"):
            return False
        return not code.endswith("NotFound")
    return True


@contextmanager
def releasing(clients: Clients, what: Owned, say: Say) -> Iterator[list[str]]:
    """Release the VPC in rounds while the engine deletes: interfaces come free only then.

    Gives the list of what was deleted, complete at the end.
    """
    ended = threading.Event()
    gone: list[str] = []

    def rounds() -> None:
        while True:
            try:
                gone.extend(release_vpc(clients, what))
            except (ClientError, BotoCoreError) as error:
                say(f"could not look into {', '.join(what.vpc_ids)}: {error}")
            if ended.wait(ROUND_SECONDS):
                return

    thread = threading.Thread(target=rounds, daemon=True)
    thread.start()
    try:
        yield gone
    finally:
        ended.set()
        thread.join()


def delete_log_groups(clients: Clients, settings: Settings) -> list[str]:
    """Delete the log groups that services made; those that were deleted.

    EKS and Lambda write once more after the stack's own group is gone, and so make it anew.
    """
    logs = clients("logs")
    return [name for name in log_groups(settings) if _deleted_log_group(logs, name)]


def _deleted_log_group(logs: Any, name: str) -> bool:
    try:
        logs.delete_log_group(logGroupName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return False
    return True
