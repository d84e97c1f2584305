"""Buckets that are private: no ACLs, and no policy that lets everybody in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from policies.reading.principals import is_public
from stacks.local.aws.deliveries import S3, NotDelivered, check
from stacks.local.aws.moto_s3 import ENFORCED
from stacks.local.aws.policy_documents import listed
from stacks.local.aws.refusals.account import Account, backend
from stacks.local.aws.refusals.refusal import Refusal, Request


def _bucket(request: Request) -> Any:
    return backend("s3", "aws").buckets.get(request.get("Bucket"))


def _is_blocked(request: Request, account: Account) -> Mapping[str, str] | None:
    """A policy for everybody, on a bucket whose BlockPublicPolicy is on."""
    bucket = _bucket(request)
    block = bucket.public_access_block if bucket is not None else None
    if block is None or not block.block_public_policy:
        return None
    try:
        policy = json.loads(request["Policy"])
        public = any(is_public(one) for one in listed(policy.get("Statement")))
    except (ValueError, AttributeError):
        return None  # what is no policy the service refuses
    return {"bucket": request["Bucket"]} if public else None


def _has_no_acls(request: Request, account: Account) -> Mapping[str, str] | None:
    bucket = _bucket(request)
    return {} if bucket is not None and bucket.ownership_rule == ENFORCED else None


def _asks_for_acl(request: Request, account: Account) -> Mapping[str, str] | None:
    """A new bucket with an ACL beside ownership that has none, which is the default."""
    granted = any(name.startswith("Grant") for name in request)
    asked = granted or request.get("ACL", "private") != "private"
    return {} if asked and request.get("ObjectOwnership", ENFORCED) == ENFORCED else None


INFREQUENT = ("STANDARD_IA", "ONEZONE_IA")
INFREQUENT_DAYS = 30
"""Days before an object may move to a class of infrequent access."""


def _moves_early(request: Request, account: Account) -> Mapping[str, str] | None:
    for rule in _rules(request):
        moves = [(one, "Transition", "Days") for one in rule.get("Transitions") or ()]
        late = rule.get("NoncurrentVersionTransitions") or ()
        moves += [(one, "NoncurrentVersionTransition", "NoncurrentDays") for one in late]
        for move, action, days in moves:
            if move.get("StorageClass") in INFREQUENT and move.get(days, 99) < INFREQUENT_DAYS:
                return {"action": action, "days": days, "class": move["StorageClass"]}
    return None


def _expires_early(request: Request, account: Account) -> Mapping[str, str] | None:
    for rule in _rules(request):
        last = (rule.get("Expiration") or {}).get("Days")
        moves = [one.get("Days") for one in rule.get("Transitions") or () if one.get("Days")]
        if last is not None and moves and last <= max(moves):
            return {"rule": str(rule.get("ID", ""))}
    return None


def _rules(request: Request) -> Sequence[Mapping[str, Any]]:
    return (request.get("LifecycleConfiguration") or {}).get("Rules") or ()


DESTINATIONS = {
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
}


def _reaches_nobody(request: Request, account: Account) -> Mapping[str, str] | None:
    """A notification to what is not there, or whose policy or key does not let S3 in."""
    if request.get("SkipDestinationValidation"):
        return None
    configuration = request.get("NotificationConfiguration") or {}
    bucket = f"arn:aws:s3:::{request.get('Bucket')}"
    for kind, member in DESTINATIONS.items():
        for one in configuration.get(kind) or ():
            try:
                check(account, S3, bucket, str(one.get(member)))
            except NotDelivered as error:
                return {"why": str(error)}
    return None


BUCKETS = (
    Refusal(
        service="s3",
        operations=("PutBucketNotificationConfiguration",),
        condition=_reaches_nobody,
        code="InvalidArgument",
        text="Unable to validate the following destination configurations: {why}",
        source="Amazon S3 user guide, Granting permissions to publish event notifications",
    ),
    Refusal(
        service="s3",
        operations=("PutBucketLifecycleConfiguration",),
        condition=_moves_early,
        code="InvalidArgument",
        text=(
            "'{days}' in {action} action must be greater than or equal to 30 for storageClass "
            "'{class}'"
        ),
        source="Amazon S3 user guide, Transitioning objects using Amazon S3 Lifecycle",
    ),
    Refusal(
        service="s3",
        operations=("PutBucketLifecycleConfiguration",),
        condition=_expires_early,
        code="InvalidArgument",
        text=(
            "'Days' in the Expiration action for rule '{rule}' must be greater than 'Days' in the "
            "Transition action"
        ),
        source="Amazon S3 user guide, Lifecycle configuration elements",
    ),
    Refusal(
        service="s3",
        operations=("PutBucketPolicy",),
        condition=_is_blocked,
        code="AccessDenied",
        status=403,
        text=(
            "User is not authorized to perform: s3:PutBucketPolicy on resource: "
            "arn:aws:s3:::{bucket} because public policies are prevented by the "
            "BlockPublicPolicy setting in S3 Block Public Access."
        ),
        source="Amazon S3 user guide, Blocking public access; default settings for new buckets",
    ),
    Refusal(
        service="s3",
        operations=("PutBucketAcl",),
        condition=_has_no_acls,
        code="AccessControlListNotSupported",
        text="The bucket does not allow ACLs",
        source="Amazon S3 user guide, Controlling ownership of objects and disabling ACLs",
    ),
    Refusal(
        service="s3",
        operations=("CreateBucket",),
        condition=_asks_for_acl,
        code="InvalidBucketAclWithObjectOwnership",
        text="Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        source="Amazon S3 user guide, Controlling ownership of objects and disabling ACLs",
    ),
)
"""What a bucket's ownership and its Block Public Access do not let through."""
