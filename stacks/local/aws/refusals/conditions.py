"""When AWS refuses a request: functions of the request and of the account."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.policy_documents import lets, principals
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Request
from stacks.pins.table import pins

CLOUDTRAIL, SAGEMAKER = "cloudtrail.amazonaws.com", "sagemaker.amazonaws.com"
TRAIL = "kms:EncryptionContext:aws:cloudtrail:arn"

BEYOND_ONE_ACCOUNT = ("CostCategories", "Tags")
"""What a monitor may compare in the account that pays alone; and linked accounts, a dimension."""


def trail_key_is_closed(request: Request, account: Account) -> Mapping[str, str] | None:
    """CloudTrail describes the key, asks it for data keys, and decrypts those of a bucket key."""
    key, bucket = request.get("KmsKeyId"), str(request.get("S3BucketName", ""))
    policy = account.key_policy(key) if key else None
    if policy is None:
        return None
    trail = account.arn("cloudtrail", f"trail/{request['Name']}")
    source = account.source(trail)
    needed = {"kms:DescribeKey": source, "kms:GenerateDataKey": {**source, TRAIL: trail}}
    if account.has_bucket_key(bucket):
        needed["kms:Decrypt"] = source
    if all(lets(policy, CLOUDTRAIL, action, context) for action, context in needed.items()):
        return None
    return {"bucket": bucket, "key": str(key)}


def log_key_is_closed(request: Request, account: Account) -> Mapping[str, str] | None:
    """CloudWatch Logs encrypts with the key, and says for which group."""
    name, key = request.get("logGroupName"), request.get("kmsKeyId")
    policy = account.key_policy(key) if key else None
    if policy is None or not name:
        return None
    group = account.arn("logs", f"log-group:{name}")
    context = {**account.source(group), "kms:EncryptionContext:aws:logs:arn": group}
    service = f"logs.{account.region}.amazonaws.com"
    needed = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey")
    if all(lets(policy, service, action, context) for action in needed):
        return None
    return {"group": group}


def principal_is_nobody(document: Callable[[Request], Any]) -> Condition:
    """A policy, found in the request by `document`, names who does not exist."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        text = document(request)
        if not text:
            return None
        try:
            policy = json.loads(text) if isinstance(text, str | bytes) else text
        except ValueError:
            return None  # what is no JSON the service refuses
        missing = [one for one in principals(policy) if not account.exists(one)]
        return {"principal": missing[0]} if missing else None

    return condition


def entry_of_nobody(request: Request, account: Account) -> Mapping[str, str] | None:
    """An access entry is of an IAM principal that exists."""
    arn = str(request["principalArn"])
    return None if account.exists(arn) else {"principal": arn}


def trust_is_closed(request: Request, account: Account) -> Mapping[str, str] | None:
    """Feature Store and MLflow take on the role and say not for whom, as far as is documented."""
    role = request.get("RoleArn")
    trust = account.trust_of(str(role)) if role else None
    if trust is None or lets(trust, SAGEMAKER, "sts:AssumeRole", {}):
        return None
    return {"role": str(role)}


def role_is_missing(request: Request, account: Account) -> Mapping[str, str] | None:
    """A recorder whose role does not exist, such as AWS Config's own in an account without one."""
    arn = str(request["ConfigurationRecorder"].get("roleARN") or "")
    return None if not arn or account.trust_of(arn) is not None else {"role": arn}


def version_is_gone(request: Request, account: Account) -> Mapping[str, str] | None:
    """A version of Kubernetes that EKS supports no more, at any price."""
    version = request.get("version")
    if version is None or pins().is_offered(str(version), account.today) is not False:
        return None
    return {"version": str(version)}


def monitor_of_the_payer(request: Request, _: Account) -> Mapping[str, str] | None:
    """Tags, cost categories and accounts are compared in the paying account, which this is not."""
    monitor = request["AnomalyMonitor"]
    if monitor["MonitorType"] != "CUSTOM":
        return {} if monitor.get("MonitorDimension") != "SERVICE" else None
    specification = monitor.get("MonitorSpecification") or {}
    by_account = (specification.get("Dimensions") or {}).get("Key") == "LINKED_ACCOUNT"
    beyond = any(specification.get(member) for member in BEYOND_ONE_ACCOUNT)
    return {} if by_account or beyond else None


def second_service_monitor(request: Request, account: Account) -> Mapping[str, str] | None:
    """An account has one monitor of all its services."""
    if request["AnomalyMonitor"]["MonitorType"] != "DIMENSIONAL":
        return None
    return {} if any(m["MonitorType"] == "DIMENSIONAL" for m in account.monitors()) else None
