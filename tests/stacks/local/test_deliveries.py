"""What topics, rules and buckets bring to queues and functions: only where policies let them in."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, Cloud, refusal
from tests.kits.path import wait_until

ACCOUNT = "arn:aws:sns:us-east-1:123456789012"
RULE = "arn:aws:events:us-east-1:123456789012:rule/brings"


@pytest.fixture(scope="module")
def sqs(cloud: Cloud) -> Any:
    return cloud.client("sqs")


class Queue:
    """A queue and what comes to it."""

    def __init__(self, sqs: Any, name: str) -> None:
        self.sqs, self.url = sqs, sqs.create_queue(QueueName=name)["QueueUrl"]
        told = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = told["Attributes"]["QueueArn"]

    def let(self, service: str, source: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})

    def take(self) -> list[str]:
        told = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        for one in told.get("Messages", ()):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return [one["Body"] for one in told.get("Messages", ())]


@pytest.fixture
def queue(sqs: Any, request: pytest.FixtureRequest) -> Iterator[Queue]:
    made = Queue(sqs, request.node.name.replace("_", "-")[:80])
    yield made
    sqs.delete_queue(QueueUrl=made.url)


def failed(cloud: Cloud, namespace: str, metric: str, **dimensions: str) -> float:
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(one["Sum"] for one in found["Datapoints"]))


def test_a_topic_reaches_a_queue_whose_policy_lets_it(cloud: Cloud, sqs: Any, queue: Queue) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="brings")["TopicArn"]
    letters = Queue(sqs, "letters-of-a-topic")
    letters.let("sns.amazonaws.com", topic)
    redrive = json.dumps({"deadLetterTargetArn": letters.arn})
    attributes = {"RawMessageDelivery": "true", "RedrivePolicy": redrive}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes)
    sns.publish(TopicArn=topic, Message="lost")
    assert queue.take() == []
    (letter,) = letters.take()
    assert json.loads(letter)["Message"] == "lost"
    assert failed(cloud, "AWS/SNS", "NumberOfNotificationsFailed", TopicName="brings") == 1
    queue.let("sns.amazonaws.com", f"{ACCOUNT}:another")
    sns.publish(TopicArn=topic, Message="for another")
    assert queue.take() == []
    queue.let("sns.amazonaws.com", topic)
    sns.publish(TopicArn=topic, Message="here")
    assert queue.take() == ["here"]


def test_a_rule_reaches_a_queue_whose_policy_lets_it(cloud: Cloud, queue: Queue) -> None:
    events = cloud.client("events")
    events.put_rule(Name="brings", EventPattern=json.dumps({"source": ["mine"]}))
    target = {"Id": "1", "Arn": queue.arn, "Input": '"come"'}
    events.put_targets(Rule="brings", Targets=[target])
    entry = {"Source": "mine", "DetailType": "x", "Detail": "{}"}
    events.put_events(Entries=[entry])
    wait_until(lambda: failed(cloud, "AWS/Events", "FailedInvocations", RuleName="brings") == 1)
    assert queue.take() == []
    queue.let("events.amazonaws.com", RULE)
    events.put_events(Entries=[entry])
    assert queue.take() == ['"come"']


def test_a_bucket_tells_nobody_whose_policy_does_not_let_it(cloud: Cloud, queue: Queue) -> None:
    s3 = cloud.client("s3")
    told = {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]}]}
    asked = {"Bucket": BUCKET, "NotificationConfiguration": told}
    code, why, status = refusal(s3.put_bucket_notification_configuration, **asked)
    assert (code, status) == ("InvalidArgument", 400)
    assert "Unable to validate the following destination configurations" in why
    queue.let("s3.amazonaws.com", f"arn:aws:s3:::{BUCKET}")
    s3.put_bucket_notification_configuration(**asked)
    (test,) = queue.take()
    assert json.loads(test)["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=BUCKET, Key="told", Body=b"1")
    (message,) = queue.take()
    (record,) = json.loads(message)["Records"]
    assert record["s3"]["object"]["key"] == "told"
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})


def test_a_subscription_by_mail_waits_for_somebody(cloud: Cloud) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="mails")["TopicArn"]
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.com"}
    assert sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    arn = sns.subscribe(**asked, ReturnSubscriptionArn=True)["SubscriptionArn"]
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert shown["PendingConfirmation"] == "true"


def test_events_are_tested_and_those_of_aws_are_not_taken(cloud: Cloud) -> None:
    events = cloud.client("events")
    event = {"id": "1", "account": "1", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
             "resources": [], "source": "mine", "detail-type": "x", "detail": {"n": 5}}  # fmt: skip
    for least, is_one in ((3, True), (7, False)):
        pattern = json.dumps({"detail": {"n": [{"numeric": [">", least]}]}})
        told = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
        assert told["Result"] is is_one
    told = events.put_events(
        Entries=[
            {"Source": "aws.s3", "DetailType": "x", "Detail": "{}"},
            {"Source": "mine", "DetailType": "x", "Detail": "{}"},
        ]
    )
    assert told["FailedEntryCount"] == 1
    assert told["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert told["Entries"][1]["EventId"]
    without = json.dumps({name: value for name, value in event.items() if name != "account"})
    asked = {"EventPattern": json.dumps({"source": ["mine"]}), "Event": without}
    assert refusal(events.test_event_pattern, **asked)[0] == "ValidationException"
