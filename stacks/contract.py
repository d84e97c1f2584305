"""What one stack offers to those above it: typed, with a version, as one output of the stack.

Only what AWS invents and what the layer below decided is in it. Everything that has a name of ours
is computed by `infra/naming.py`. A stack reads the contract by a StackReference; in a preview of
something that does not stand yet, and in a synth, stand-ins take its place.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

import pulumi

from infra.errors import UserError
from infra.permissions_boundary import boundary_arn
from stacks.settings.load import load_cluster, load_foundation
from stacks.settings.model import ClusterSettings, FoundationSettings
from stacks.stack_name import CLUSTER, FOUNDATION, StackName

OUTPUT = "contract"
"""Name of the stack's output."""

READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"

PROJECT = "organization/plinth"
"""Of the file backend, which knows no other organization (Pulumi, DIY backends)."""

KEY_PURPOSES = (
    "audit", "cluster", "ebs", "features", "logs", "operations", "serving", "storage",
)  # fmt: skip
"""Keys that a foundation has; each says what is encrypted with it."""

MARK = "stand-in"
"""In everything that stands for what only the other stack's deployment knows."""


@dataclass(frozen=True, kw_only=True)
class FoundationContract:
    """What `<env>.foundation` offers."""

    VERSION: ClassVar[int] = 1
    """Rises with every field that is added, removed or changes its meaning."""

    vpc_id: pulumi.Input[str]
    private_subnet_ids: Mapping[str, pulumi.Input[str]]
    """By zone id."""

    pod_subnet_ids: Mapping[str, pulumi.Input[str]]
    """By zone id; empty where pods share the first range."""

    workload_security_group_id: pulumi.Input[str]
    """For endpoints, functions and nodes."""

    job_security_group_id: pulumi.Input[str]
    """For jobs alone."""

    efa_security_group_id: pulumi.Input[str]
    s3_endpoint_id: pulumi.Input[str]
    key_arns: Mapping[str, pulumi.Input[str]]
    """By purpose."""

    alerts_topic_arn: pulumi.Input[str]
    tracking_kind: Literal["app", "server", "none"]

    tracking_arn: pulumi.Input[str]
    """Of MLflow; empty where runs are not recorded."""

    cidr_block: str
    reaches_internet: bool
    """There is a NAT gateway."""

    interface_endpoints: list[str]
    """Services that are reached without leaving the VPC, by suffix."""

    permissions_boundary_arn: pulumi.Input[str] | None = None
    """What no role of the environment may exceed. Default: there is no such limit."""

    pod_cidr_block: str | None = None
    """Default: pods share the first range."""

    spark_application_arn: pulumi.Input[str] | None = None
    """Default: there is no Spark."""

    filesystem_zone: str | None = None
    """Zone id of the file system. Default: there is none."""

    @classmethod
    def decided(cls, settings: FoundationSettings) -> dict[str, Any]:
        """What follows from the settings alone."""
        network, system = settings.network, settings.filesystem
        return {
            "tracking_kind": settings.tracking.kind,
            "cidr_block": network.cidr_block,
            "pod_cidr_block": network.pod_cidr_block,
            "reaches_internet": network.nat_gateways != "none",
            "interface_endpoints": list(network.interface_endpoints),
            "filesystem_zone": system.availability_zone_id if system else None,
        }

    @classmethod
    def imagined(cls, settings: FoundationSettings, unknown: Make) -> FoundationContract:
        """As a deployment of these settings would offer it, without its ids."""
        names, zones = settings.names, settings.environment.availability_zone_ids
        boundary, pods = settings.access.permissions_boundary, settings.network.pod_cidr_block
        tracked = settings.tracking.kind != "none"
        return cls(
            vpc_id=unknown(f"vpc-{MARK}"),
            private_subnet_ids={zone: unknown(f"subnet-{MARK}-{zone}") for zone in zones},
            pod_subnet_ids=(
                {zone: unknown(f"subnet-{MARK}-pods-{zone}") for zone in zones} if pods else {}
            ),
            workload_security_group_id=unknown(f"sg-{MARK}-workload"),
            job_security_group_id=unknown(f"sg-{MARK}-jobs"),
            efa_security_group_id=unknown(f"sg-{MARK}-efa"),
            s3_endpoint_id=unknown(f"vpce-{MARK}-s3"),
            key_arns={
                purpose: unknown(names.arn("kms", f"key/{MARK}-{purpose}"))
                for purpose in KEY_PURPOSES
            },
            permissions_boundary_arn=(boundary_arn(names) if boundary == "managed" else boundary),
            alerts_topic_arn=names.arn("sns", names.of("alerts")),
            tracking_arn=(unknown(names.arn("sagemaker", f"mlflow-app/{MARK}")) if tracked else ""),
            spark_application_arn=(
                unknown(names.arn("emr-serverless", f"/applications/{MARK}"))
                if settings.spark
                else None
            ),
            **cls.decided(settings),
        )


@dataclass(frozen=True, kw_only=True)
class ClusterContract:
    """What `<env>.cluster` offers."""

    VERSION: ClassVar[int] = 1

    endpoint: pulumi.Input[str]
    """Of the API server."""

    certificate_authority: pulumi.Input[str]
    """As base64 text."""

    teams: list[str]
    """Namespaces that workloads may run in."""

    @classmethod
    def decided(cls, settings: ClusterSettings) -> dict[str, Any]:
        """What follows from the settings alone."""
        return {"teams": sorted(settings.teams)}

    @classmethod
    def imagined(cls, settings: ClusterSettings, unknown: Make) -> ClusterContract:
        """As a deployment of these settings would offer it, without its ids."""
        return cls(
            endpoint=unknown(f"https://{MARK}.eks.invalid"),
            certificate_authority=unknown(MARK),
            **cls.decided(settings),
        )


Contract = FoundationContract | ClusterContract
Offered = TypeVar("Offered", FoundationContract, ClusterContract)
Make = Callable[[str], pulumi.Input[str]]
"""Makes a value that only a deployment knows, of a text that says what it is."""

Source = Callable[[StackName], Contract]
"""Where a program gets the contracts of the stacks below: `read`, `unknown` or `stand_in`."""

KINDS: Mapping[str, type[FoundationContract] | type[ClusterContract]] = {
    FOUNDATION: FoundationContract,
    CLUSTER: ClusterContract,
}


def export(contract: Contract) -> Mapping[str, Any]:
    """The contract as the value of the stack's output."""
    offered = {field.name: getattr(contract, field.name) for field in fields(contract)}
    return {"version": contract.VERSION, **offered}


def read(stack: StackName) -> Contract:
    """What another stack offers, as its last deployment exported it.

    UserError when it is not deployed, or offers less than this program needs. This is the function
    of the engine behind `pulumi.StackReference`; that resource ends the whole operation where the
    stack does not exist, before the program can say what to do.
    """
    try:
        answer = pulumi.runtime.invoke(READ_OUTPUTS, {"name": f"{PROJECT}/{stack}"})
    except Exception as error:  # the SDK has no narrower one
        if "unknown stack" not in str(error):
            raise
        return parsed(stack, None)
    return parsed(stack, answer.value["outputs"].get(OUTPUT))


def read_or_unknown(stack: StackName) -> Contract:
    """What another stack offers; unknown values where it is not deployed, for a preview of both."""
    try:
        return read(stack)
    except UserError:
        return unknown(stack)


def parsed(stack: StackName, found: Any) -> Contract:
    """A contract of an output's value; UserError when it is missing or an older version.

    The engine keeps no null, so a field without a value is absent.
    """
    kind = KINDS[stack.layer]
    offered: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    version = offered.get("version", 0)
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    if version < kind.VERSION or needed - offered.keys():
        raise UserError(
            f"{stack} must offer version {kind.VERSION} of what it has for other stacks, "
            f"got {f'version {version:g}' if version else 'none'}",
            fix=f"deploy {stack} first: type `plinth up {stack}`",
        )
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in offered.items() if name in known})


def stand_in(stack: StackName) -> Contract:
    """What another stack would offer by its settings; every id says that it is none."""
    return _imagined(stack, lambda text: text)


def unknown(stack: StackName) -> Contract:
    """What another stack would offer by its settings; every id is unknown, as before an update."""
    return _imagined(stack, lambda _: _not_yet())


def _not_yet() -> pulumi.Output[str]:
    """An Output that nobody knows; only inside a running program."""
    loop = asyncio.get_running_loop()
    value, known = loop.create_future(), loop.create_future()
    value.set_result(None)
    known.set_result(False)
    return pulumi.Output(set(), value, known)


def zone_of(subnet_id: str) -> str | None:
    """The zone that the stand-in of a subnet names; None of a subnet that AWS knows."""
    found = re.fullmatch(rf"subnet-{MARK}-(?:pods-)?(.+)", subnet_id)
    return found[1] if found else None


def stand_ins(contract: Contract) -> int:
    """How many of a contract's values stand for what nobody knows."""
    return sum(isinstance(value, str) and MARK in value for value in _leaves(asdict(contract)))


def _imagined(stack: StackName, make: Make) -> Contract:
    if stack.layer == FOUNDATION:
        return FoundationContract.imagined(load_foundation(stack.env), make)
    return ClusterContract.imagined(load_cluster(stack.env), make)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    else:
        yield value
