"""Subscriptions of moto's topics: they get what the subscriber's policy lets in, once confirmed.

Source: Amazon SNS developer guide, "Fanout to Amazon SQS queues", "Dead-letter queues" and "Amazon
SNS topic metrics"; SNS API reference, Subscribe.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from inspect import signature
from typing import Any

from stacks.local.aws.deliveries import SNS, NotDelivered, check
from stacks.local.aws.refusals.account import Account, backend

GUARDED = ("lambda", "sqs")
"""Protocols of subscribers whose policies let SNS in."""

CONFIRMED_BY_PEOPLE = ("email", "email-json")
"""Protocols whose subscriber types the link in a message: nobody gets one here."""

PENDING = "pending confirmation"

log = logging.getLogger(__name__)


def install() -> None:
    """For every topic of this process."""
    from moto.sns.models import Subscription
    from moto.sns.responses import SNSResponse

    if hasattr(Subscription.publish, "__wrapped__"):
        return
    Subscription.publish = _guarded(Subscription.publish)
    SNSResponse.subscribe = _subscribing(SNSResponse.subscribe)


def _guarded(act: Any) -> Any:
    @functools.wraps(act)
    def publish(subscription: Any, *given: Any, **named: Any) -> None:
        asked = signature(act).bind(subscription, *given, **named).arguments
        if subscription.protocol not in GUARDED or not _wants(subscription, asked):
            act(subscription, *given, **named)
            return
        account = Account(region=subscription.topic_arn.split(":")[3])
        try:
            check(account, SNS, subscription.topic_arn, subscription.endpoint)
        except NotDelivered as error:
            log.warning("topic %s: %s", subscription.topic_arn, error)
            _failed(account, subscription, asked)
        else:
            act(subscription, *given, **named)

    return publish


def _wants(subscription: Any, asked: Mapping[str, Any]) -> bool:
    """Whether its filter lets a message through; what it does not is no failure."""
    matcher = subscription._filter_policy_matcher
    return matcher is None or matcher.matches(asked.get("message_attributes"), asked["message"])


def _failed(account: Account, subscription: Any, asked: Mapping[str, Any]) -> None:
    """Count it, and bring it to the queue of dead letters that the subscription has."""
    topic = {"Name": "TopicName", "Value": subscription.topic.name}
    datum = {
        "MetricName": "NumberOfNotificationsFailed",
        "Dimensions": [topic],
        "Unit": "Count",
        "Value": 1,
    }
    backend("cloudwatch", account.region).put_metric_data("AWS/SNS", [datum])
    policy = json.loads(subscription.attributes.get("RedrivePolicy") or "{}")
    arn = policy.get("deadLetterTargetArn", "")
    name, queues = arn.rpartition(":")[2], backend("sqs", account.region)
    if name not in queues.queues:
        return
    try:
        check(account, SNS, subscription.topic_arn, arn)
    except NotDelivered as error:
        log.warning("dead letters of topic %s: %s", subscription.topic_arn, error)
        return
    told = subscription.get_post_data(
        asked["message"], asked["message_id"], asked.get("subject"),
        message_attributes=asked.get("message_attributes"),
    )  # fmt: skip
    queues.send_message(name, json.dumps(told))


def _subscribing(act: Any) -> Any:
    @functools.wraps(act)
    def subscribe(response: Any) -> Any:
        """What waits for somebody to confirm it has no ARN yet, unless it is asked for."""
        from moto.core.responses import ActionResult

        answer = act(response)
        arn = answer.result["SubscriptionArn"]
        if response._get_param("Protocol") not in CONFIRMED_BY_PEOPLE:
            return answer
        held = backend("sns", arn.split(":")[3]).subscriptions[arn]
        held.attributes["PendingConfirmation"] = "true"
        shown = response._get_bool_param("ReturnSubscriptionArn", False)
        return answer if shown else ActionResult({"SubscriptionArn": PENDING})

    return subscribe
