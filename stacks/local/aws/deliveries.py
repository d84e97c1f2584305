"""What a service brings to a queue, a topic or a function: it gets there if their policies let it.

A service that delivers acts as itself: the policy of the target must let it, and that of the key by
which the target is encrypted (EventBridge user guide, "Using resource-based policies"; Amazon SNS
developer guide, "Fanout to Amazon SQS queues"; Lambda developer guide, "Granting function access to
AWS services").
"""

from __future__ import annotations

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.iam.resource_policies import held
from stacks.local.aws.policy_documents import lets, lets_by
from stacks.local.aws.refusals.account import Account

EVENTS, CLOUDWATCH = "events.amazonaws.com", "cloudwatch.amazonaws.com"
SNS, S3 = "sns.amazonaws.com", "s3.amazonaws.com"

NAMES_NO_SOURCE = frozenset((EVENTS,))
"""Services that do not tell topics and keys for whom they publish: a condition on it never holds
(Amazon SNS developer guide, key management, event sources and encrypted topics; EventBridge user
guide, permissions for Amazon SNS)."""

ACTIONS = {"lambda": "lambda:InvokeFunction", "sns": "sns:Publish", "sqs": "sqs:SendMessage"}
"""Service of a target -> what is done there."""


class NotDelivered(LookupError):
    """A target, or its key, does not let a service in: the message is lost."""


def check(account: Account, service: str, source: str, target: str) -> None:
    """NotDelivered when `service`, on behalf of `source`, may not bring anything to a target."""
    check_policy(account, service, source, target)
    check_key(account, service, source, target)


def check_policy(account: Account, service: str, source: str, target: str) -> None:
    """NotDelivered where the policy of the target does not let the service in."""
    kind = target.split(":")[2]
    action = ACTIONS[kind]
    context = {} if kind == "sns" and service in NAMES_NO_SOURCE else account.source(source)
    policies = held(target, ACCOUNT_ID).policies
    if not lets_by(policies, service, action, context, resource=target):
        raise NotDelivered(f"the policy of {target} does not let {service} call {action}")


def check_key(account: Account, service: str, source: str, target: str) -> None:
    """NotDelivered where the service cannot encrypt for a topic or a queue."""
    key = account.key_of(target)
    policy = account.key_policy(key) if key else None
    if policy is None:
        return
    kind = target.split(":")[2]
    context = {f"kms:EncryptionContext:aws:{kind}:{NAMED[kind]}": target}
    if service not in NAMES_NO_SOURCE:
        context |= account.source(source)
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        if not lets(policy, service, action, context):
            raise NotDelivered(f"the policy of key {key} does not let {service} call {action}")


NAMED = {"sns": "topicArn", "sqs": "arn"}
"""Service of a target -> by what name its ARN is in the context of encryption."""
