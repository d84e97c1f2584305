"""An event that EventBridge cannot deliver is counted, and the rule's alarm goes off."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.keys import KeysArgs, key_policy
from infra.naming import Names
from tests.kits.local_cloud import Cloud, running_cloud

NAMES = Names(env="local", account_id="123456789012", region="us-east-1")
RULE = "plinth-local-failed-runs"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        yield running


def policy() -> dict[str, Any]:
    args = KeysArgs(names=NAMES, tags={}, purposes={"operations": ("events", "cloudwatch")})
    return key_policy("operations", args)


def as_it_was() -> dict[str, Any]:
    """For this account alone, which EventBridge does not say."""
    made = policy()
    for statement in made["Statement"]:
        if statement["Sid"].startswith("Events"):
            statement["Condition"] = {"StringEquals": {"aws:SourceAccount": NAMES.account_id}}
    return made


def undelivered(cloud: Cloud, document: dict[str, Any], name: str) -> float:
    """Events that a rule with an encrypted topic could not deliver, of one that matched."""
    key = cloud.client("kms").create_key(Policy=json.dumps(document))["KeyMetadata"]["Arn"]
    attributes = {"KmsMasterKeyId": key}
    topic = cloud.client("sns").create_topic(Name=f"plinth-local-{name}", Attributes=attributes)
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic["TopicArn"],
    }
    cloud.client("sns").set_topic_attributes(
        TopicArn=topic["TopicArn"],
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    events = cloud.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "alerts", "Arn": topic["TopicArn"]}])
    events.put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": "{}"}])
    data = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Events",
        MetricName="FailedInvocations",
        Dimensions=[{"Name": "RuleName", "Value": name}],
        StartTime="2020-01-01T00:00:00Z",
        EndTime="2100-01-01T00:00:00Z",
        Period=10 * 365 * 86_400,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in data["Datapoints"]))


@pytest.mark.parametrize(
    ("document", "name", "count"), [(policy, "delivered", 0), (as_it_was, "lost", 1)]
)
def test_what_a_key_shuts_out_is_counted(
    cloud: Cloud, document: Callable[[], dict[str, Any]], name: str, count: float
) -> None:
    assert undelivered(cloud, document(), name) == count
