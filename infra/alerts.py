"""Where everything that watches the platform calls a person."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, plain_json, tls_only

PUBLISHERS = (
    "budgets.amazonaws.com",
    "cloudwatch.amazonaws.com",
    "costalerts.amazonaws.com",
)
"""Services that publish as themselves, for this account; EventBridge says which rule it is."""


@dataclass(frozen=True, kw_only=True)
class AlertsArgs(ComponentArgs):
    """Who is called."""

    kms_key_arn: pulumi.Input[str]
    """Its policy must let the publishers use it."""

    emails: Sequence[str] = ()
    """Each confirms its subscription once. Default: nobody; the topic is there for other
    subscribers."""


class Alerts(Component):
    """One encrypted topic for alarms, violations, budgets and cost anomalies."""

    topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        topic_name = self.names.of(name)
        topic = aws.sns.Topic(
            f"{name}-topic",
            name=topic_name,
            kms_master_key_id=args.kms_key_arn,
            tags=self.tags("topic"),
            opts=self.child,
        )
        policy = aws.sns.TopicPolicy(
            f"{name}-topic",
            arn=topic.arn,
            policy=plain_json(self._policy(self.names.arn("sns", topic_name))),
            opts=self.child,
        )
        for email in args.emails:
            aws.sns.TopicSubscription(
                f"{name}-{email}",
                topic=topic.arn,
                protocol="email",
                endpoint=email,
                opts=self.child,
            )
        # A budget is refused when its topic does not yet let the service publish
        self.topic_arn = pulumi.Output.all(topic.arn, policy.id).apply(lambda both: str(both[0]))
        self.seal()

    def _policy(self, topic_arn: str) -> dict[str, object]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Publishers",
                    "Effect": "Allow",
                    "Principal": {"Service": list(PUBLISHERS)},
                    "Action": "sns:Publish",
                    "Resource": topic_arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.names.account_id}},
                },
                {
                    "Sid": "Rules",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": topic_arn,
                    "Condition": {
                        "ArnLike": {
                            "aws:SourceArn": self.names.arn("events", f"rule/{self.names.of('*')}")
                        }
                    },
                },
                tls_only("sns:Publish", topic_arn),
            ],
        }
