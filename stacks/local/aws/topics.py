"""Services that publish to encrypted topics: they get there if the topic's key lets them."""

from __future__ import annotations

from stacks.local.aws.policy_documents import lets
from stacks.local.aws.refusals.account import Account

EVENTS, CLOUDWATCH = "events.amazonaws.com", "cloudwatch.amazonaws.com"

NAMES_NO_SOURCE = frozenset((EVENTS,))
"""Services that do not tell KMS for whom they publish: a condition on it never holds (Amazon SNS
developer guide, key management, event sources and encrypted topics)."""


class NotPublished(LookupError):
    """A service may not use the key of a topic, so its message is lost."""


def check_key(account: Account, service: str, source: str, topic: str) -> None:
    """NotPublished when `service`, on behalf of `source`, cannot encrypt for this topic."""
    key = account.key_of_topic(topic)
    policy = account.key_policy(key) if key else None
    if policy is None:
        return
    context = {"kms:EncryptionContext:aws:sns:topicArn": topic}
    if service not in NAMES_NO_SOURCE:
        context |= account.source(source)
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        if not lets(policy, service, action, context):
            raise NotPublished(f"the policy of key {key} does not let {service} call {action}")
