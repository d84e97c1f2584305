"""What SageMaker does with the role of a job or a model beside the program in it.

Source: SageMaker developer guide, "How to use SageMaker AI execution roles": it pulls the image,
puts interfaces into the subnets, lets the volume's key be used, writes logs and metrics, all as the
role. Without the last two, or MLflow, a job runs on; they are counted as denied alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator
from stacks.local.aws.iam.asked import Check
from stacks.local.runtime import images
from stacks.local.runtime.acting import Acting

PRIVATE_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com/(?P<name>[^:@]+)"
)
PULLS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOOKS = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
ATTACHES = (
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
)
LOGS = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
)
AN_INTERFACE = "network-interface/eni-0123456789abcdef0"


def refused(emulator: Emulator, acting: Acting, request: Mapping[str, Any], log_group: str) -> str:
    """Why SageMaker could not start what is asked for, as its FailureReason; empty: it can."""
    key = acting.environment["AWS_ACCESS_KEY_ID"]
    ask = emulator.authorizer.refuses
    ask(key, _metrics(log_group))
    if told := no_key(emulator, _volume_key(request)):
        return f"ClientError: {told} (NotFoundException of kms:CreateGrant)"
    for check in _needed(emulator, request):
        if told := ask(key, check):
            return f"ClientError: {told}"
    return ""


def may_log(emulator: Emulator, acting: Acting, log_group: str) -> bool:
    """Whether what the program prints comes to CloudWatch; a denial is counted, nothing else."""
    group = f"arn:aws:logs:{emulator.region}:{ACCOUNT_ID}:log-group:{log_group}:log-stream:"
    key = acting.environment["AWS_ACCESS_KEY_ID"]
    told = [
        emulator.authorizer.refuses(
            key,
            Check(action=action, resource=group + ("algo-1" if "Group" not in action else "")),
        )
        for action in LOGS
    ]
    return not any(told)


def _metrics(log_group: str) -> Check:
    """What is only counted where it is denied."""
    known = {"cloudwatch:namespace": log_group}
    return Check(action="cloudwatch:PutMetricData", resource="*", known=known)


def _needed(emulator: Emulator, request: Mapping[str, Any]) -> Iterator[Check]:
    if image := PRIVATE_IMAGE.match(_image(request)):
        yield Check(action="ecr:GetAuthorizationToken", resource="*")
        where = f"arn:aws:ecr:{image['region']}:{image['account']}:repository/{image['name']}"
        for action in () if images.is_aws(image.string) else PULLS:
            yield Check(action=action, resource=where)
    config = request.get("VpcConfig") or request.get("NetworkConfig", {}).get("VpcConfig")
    if config:
        yield from _network(emulator.region, config)
    volume_key = _volume_key(request)
    if volume_key and (arn := emulator.authorizer.key(volume_key)):
        via = f"sagemaker.{emulator.region}.amazonaws.com"
        known = {"kms:GrantIsForAWSResource": True, "kms:ViaService": via}
        yield Check(action="kms:CreateGrant", resource=arn, known=known)


def _volume_key(request: Mapping[str, Any]) -> str:
    cluster = request.get("ResourceConfig") or request.get("ProcessingResources", {}).get(
        "ClusterConfig", {}
    )
    return str(cluster.get("VolumeKmsKeyId", ""))


def no_key(emulator: Emulator, name: str) -> str:
    """What KMS says of a key that the account lacks; empty: it has it, or another account may."""
    is_elsewhere = name.startswith("arn:") and name.split(":")[4] != ACCOUNT_ID
    if not name or is_elsewhere or emulator.authorizer.key(name):
        return ""
    arn = (
        name
        if name.startswith("arn:")
        else f"arn:aws:kms:{emulator.region}:{ACCOUNT_ID}:key/{name}"
    )
    return f"Key '{arn}' does not exist"


def _network(region: str, config: Mapping[str, Any]) -> Iterator[Check]:
    here = f"arn:aws:ec2:{region}:{ACCOUNT_ID}"
    for action in LOOKS:
        yield Check(action=action, resource="*")
    for subnet in config.get("Subnets", ()):
        known = {"ec2:Subnet": f"{here}:subnet/{subnet}"}
        for action in ATTACHES:
            yield Check(action=action, resource=f"{here}:{AN_INTERFACE}", known=known)
        yield Check(action=ATTACHES[0], resource=f"{here}:subnet/{subnet}")
    for group in config.get("SecurityGroupIds", ()):
        yield Check(action=ATTACHES[0], resource=f"{here}:security-group/{group}")


def _image(request: Mapping[str, Any]) -> str:
    held = (
        request.get("AlgorithmSpecification", {}).get("TrainingImage"),
        request.get("AppSpecification", {}).get("ImageUri"),
        request.get("PrimaryContainer", {}).get("Image"),
    )
    return next((str(image) for image in held if image), "")
