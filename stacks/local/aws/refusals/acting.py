"""Roles that a service is given and cannot use: functions of the request and of the account.

A service tries a role when it is named, and not first when it is used: whether it may take it on,
and whether the role may do what the service will do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import jmespath

from stacks.local.aws.function_roles import READS_STREAM
from stacks.local.aws.iam.asked import Check
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Request
from stacks.local.aws.role_sessions import check
from stacks.local.runtime.acting import CannotAct

INTERFACES = (
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
)
LOOKS = ("DescribeNetworkInterfaces", "DescribeSubnets")
"""Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC"."""


def cannot_assume(path: str, service: str) -> Condition:
    """A role, found in the request by a JMESPath, does not exist or does not trust a service."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        found = jmespath.search(path, request) or []
        for role in found if isinstance(found, list) else [found]:
            try:
                check(str(role), service, account.region, _source(service, account))
            except CannotAct:
                return {"role": str(role)}
        return None

    return condition


def _source(service: str, account: Account) -> str:
    """The resource for which a service says that it acts, as far as its kind tells."""
    if service == "scheduler":
        return account.arn(service, "schedule-group/default")
    return ""


def function_without_interfaces(request: Request, account: Account) -> Mapping[str, str] | None:
    """A function in a VPC whose role may not make Lambda's interfaces there."""
    config = request.get("VpcConfig") or {}
    if not config.get("SubnetIds") or not request.get("Role"):
        return None
    interface = account.arn("ec2", "network-interface/eni-0123456789abcdef0")
    beside = [f"subnet/{one}" for one in config["SubnetIds"]]
    beside += [f"security-group/{one}" for one in config.get("SecurityGroupIds", ())]
    checks = [Check(action=f"ec2:{action}", resource=interface) for action in INTERFACES]
    checks += [
        Check(action="ec2:CreateNetworkInterface", resource=account.arn("ec2", one))
        for one in beside
    ]
    checks += [Check(action=f"ec2:{action}", resource="*") for action in LOOKS]
    denied = account.first_denied(str(request["Role"]), "Lambda", checks)
    return {"action": denied.action.partition(":")[2]} if denied else None


def stream_is_closed(request: Request, account: Account) -> Mapping[str, str] | None:
    """A function's role may not read the stream that is to be brought to it."""
    arn = str(request.get("EventSourceArn") or "")
    if ":kinesis:" not in arn:
        return None
    role = account.role_of_function(str(request["FunctionName"]))
    checks = [Check(action=f"kinesis:{action}", resource=arn) for action in READS_STREAM]
    if not role or account.first_denied(role, "Lambda", checks) is None:
        return None
    return {"stream": arn}


OfRole = Callable[[Request, Account], Iterator[Check]]


def role_lacks(member: str, needed: OfRole) -> Condition:
    """The role in a member of the request is denied something of what the service will do."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        role = str(request.get(member) or "")
        if not role or account.trust_of(role) is None:
            return None
        wanted: Sequence[Check] = list(needed(request, account))
        denied = [one.action for one in wanted if account.first_denied(role, "SageMaker", [one])]
        return {"role": role, "actions": ", ".join(denied)} if denied else None

    return condition


def offline_store(request: Request, account: Account) -> Iterator[Check]:
    """SageMaker writes records to the bucket, with the right of the bucket's owner on each."""
    config = (request.get("OfflineStoreConfig") or {}).get("S3StorageConfig")
    if not config:
        return
    bucket, _, prefix = str(config["S3Uri"]).removeprefix("s3://").partition("/")
    name = request["FeatureGroupName"]
    head = f"{account.account_id}/sagemaker/{account.region}/offline-store/{name}-1/data/file"
    key = f"{prefix.rstrip('/')}/{head}".lstrip("/")
    yield Check(action="s3:GetBucketAcl", resource=f"arn:aws:s3:::{bucket}")
    for action in ("s3:PutObject", "s3:PutObjectAcl"):
        yield Check(action=action, resource=f"arn:aws:s3:::{bucket}/{key}")
    if arn := account.key_arn(str(config.get("KmsKeyId") or "")):
        via = {"kms:ViaService": f"s3.{account.region}.amazonaws.com"}
        yield Check(action="kms:GenerateDataKey", resource=arn, known=via)
