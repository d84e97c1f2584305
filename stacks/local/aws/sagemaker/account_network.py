"""The VPC, subnets and security groups that a request names are the account's, and fit together.

By the shapes of botocore's model, wherever they stand in a request: VpcConfig of jobs and models,
NetworkConfig, a notebook's SubnetId, a domain's VpcId. What is only written down is not looked at:
definitions of jobs, which start later, and what is recorded here (no source says when SageMaker
looks at those). The words are EC2's, of InvalidVpcID, InvalidSubnetID and InvalidGroup.NotFound
(EC2 API reference, "Error codes"), which SageMaker asks as the caller.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker import unrun_jobs
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.recorded_types import RECORDED_TYPES
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.shapes import service

SHAPES = ("VpcId", "SubnetId", "SecurityGroupId")
"""How the names of shapes end that say what a text names."""

DEFINITIONS = tuple(
    f"Create{kind}JobDefinition"
    for kind in ("DataQuality", "ModelBias", "ModelExplainability", "ModelQuality")
)
WRITTEN_DOWN = frozenset(
    (*DEFINITIONS, *(kind.create for kind in (*RECORDED_TYPES, *unrun_jobs.TYPES)))
)

Named = Mapping[str, list[str]]


def check(emulator: Emulator, operation: str, request: Request) -> None:
    """Refuse a network that is not there."""
    if operation in WRITTEN_DOWN or not _takes_network(operation):
        return
    shape = service().operation_model(operation).input_shape
    ec2 = moto_backend("ec2", emulator)
    homes = {one.id: str(one.vpc_id) for zone in ec2.subnets.values() for one in zone.values()}
    for named in _networks(request, shape):
        vpcs = set(named["VpcId"])
        for vpc in vpcs - ec2.vpcs.keys():
            raise invalid(f"The vpc ID '{vpc}' does not exist")
        for subnet in named["SubnetId"]:
            if subnet not in homes:
                raise invalid(f"The subnet ID '{subnet}' does not exist")
            if named["VpcId"] and homes[subnet] not in named["VpcId"]:
                raise invalid(f"The subnet ID '{subnet}' does not exist in the VPC {vpcs.pop()}")
            vpcs.add(homes[subnet])
        for group in named["SecurityGroupId"]:
            if not any(group in ec2.groups[vpc] for vpc in vpcs or ec2.vpcs):
                where = f" in VPC '{', '.join(sorted(vpcs))}'" if vpcs else ""
                raise invalid(f"The security group '{group}' does not exist{where}")


def _networks(value: Any, shape: Any) -> Iterator[Named]:
    """What each structure of a request names itself."""
    if shape.type_name == "list":
        for inner in value:
            yield from _networks(inner, shape.member)
    if shape.type_name != "structure":
        return
    named: dict[str, list[str]] = {end: [] for end in SHAPES}
    for name, inner in value.items():
        member = shape.members[name]
        if (end := _names(member)) is not None:
            named[end].extend(inner if isinstance(inner, list) else [inner])
        else:
            yield from _networks(inner, member)
    if any(named.values()):
        yield named


def _names(shape: Any) -> str | None:
    """Which of the three a member names, alone or as a list."""
    held = shape.member if shape.type_name == "list" else shape
    return next((end for end in SHAPES if held.name.endswith(end)), None)


@functools.cache
def _takes_network(operation: str) -> bool:
    shape = service().operation_model(operation).input_shape
    return shape is not None and _holds(shape, frozenset())


def _holds(shape: Any, above: frozenset[str]) -> bool:
    """Whether a shape has a network in it; shapes may hold themselves."""
    if _names(shape) is not None:
        return True
    if shape.name in above:
        return False
    inner = {
        "structure": lambda: list(shape.members.values()),
        "list": lambda: [shape.member],
    }.get(shape.type_name, list)()
    return any(_holds(one, above | {shape.name}) for one in inner)
