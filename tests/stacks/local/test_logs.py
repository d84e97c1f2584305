"""CloudWatch Logs as clients meet it: filters, metrics of what they match, queries."""

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from stacks.local.aws.logs import moto_logs
from stacks.local.aws.signatures import Refused
from tests.kits.aws import client

GROUP = "/group"


@pytest.fixture
def logs() -> Iterator[Any]:
    """A group with a stream."""
    moto_logs.install()
    with mock_aws():
        made = client("logs")
        made.create_log_group(logGroupName=GROUP)
        made.create_log_stream(logGroupName=GROUP, logStreamName="one")
        yield made


def put(logs: Any, *messages: Any) -> int:
    now = int(time.time() * 1000)
    events = [
        {"timestamp": now + place, "message": one if isinstance(one, str) else json.dumps(one)}
        for place, one in enumerate(messages)
    ]
    logs.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=events)
    return now


def asked(logs: Any, query: str, **more: Any) -> Any:
    now = int(time.time())
    asks = {"logGroupName": GROUP, "startTime": now - 60, "endTime": now + 60, **more}
    started = logs.start_query(queryString=query, **asks)
    return logs.get_query_results(queryId=started["queryId"])


def test_events_are_filtered_by_a_pattern_of_json(logs: Any) -> None:
    put(logs, {"loss": 3}, {"loss": 8}, "loss 9")
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern="{ $.loss > 7 }")["events"]
    assert [one["message"] for one in found] == ['{"loss": 8}']


def test_a_metric_filter_publishes_what_it_takes_out(logs: Any) -> None:
    logs.put_metric_filter(
        logGroupName=GROUP,
        filterName="loss",
        filterPattern="{ $.loss = * }",
        metricTransformations=[
            {
                "metricName": "Loss",
                "metricNamespace": "Mine",
                "metricValue": "$.loss",
                "dimensions": {"Job": "$.job"},
            }
        ],
    )
    put(logs, {"loss": "3", "job": "a"}, {"loss": "5", "job": "a"}, {"loss": "9"}, {"other": 1})
    now = datetime.now(UTC)
    found = client("cloudwatch").get_metric_statistics(
        Namespace="Mine",
        MetricName="Loss",
        Dimensions=[{"Name": "Job", "Value": "a"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert sum(one["Sum"] for one in found) == 8
    assert sum(one["SampleCount"] for one in found) == 2


def test_a_metric_filter_without_a_match_publishes_its_default(logs: Any) -> None:
    transformation = {"metricName": "E", "metricNamespace": "Mine", "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName=GROUP,
        filterName="errors",
        filterPattern="ERROR",
        metricTransformations=[{**transformation, "defaultValue": 0}],
    )
    put(logs, "fine")
    assert [one["MetricName"] for one in client("cloudwatch").list_metrics()["Metrics"]] == ["E"]


def test_a_subscription_gets_what_matches_alone(logs: Any) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="losses", ShardCount=1)
    arn = kinesis.describe_stream(StreamName="losses")["StreamDescription"]["StreamARN"]
    logs.put_subscription_filter(
        logGroupName=GROUP, filterName="f", filterPattern="{ $.loss > 7 }", destinationArn=arn
    )
    put(logs, {"loss": 3})
    put(logs, {"loss": 5}, {"loss": 8})
    (shard,) = kinesis.list_shards(StreamName="losses")["Shards"]
    start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName="losses", **start)["ShardIterator"]
    (record,) = kinesis.get_records(ShardIterator=iterator)["Records"]
    told = json.loads(gzip.decompress(record["Data"]))
    assert [one["message"] for one in told["logEvents"]] == ['{"loss": 8}']


def test_a_pattern_is_tried(logs: Any) -> None:
    messages = ["1.2.3.4 404", "1.2.3.4 200"]
    told = logs.test_metric_filter(filterPattern="[ip, code = 4*]", logEventMessages=messages)
    assert told["matches"] == [
        {
            "eventNumber": 1,
            "eventMessage": messages[0],
            "extractedValues": {"$ip": "1.2.3.4", "$code": "404"},
        }
    ]


def test_a_query_is_answered(logs: Any) -> None:
    put(logs, {"loss": 3}, {"loss": 8}, "text")
    told = asked(logs, "filter loss > 1 | stats count(*) as n, max(loss) as most")
    assert told["status"] == "Complete"
    row = [{"field": "n", "value": "2"}, {"field": "most", "value": "8"}]
    assert told["results"] == [row]
    assert told["statistics"]["recordsScanned"] == 3
    assert len(asked(logs, "fields @message", limit=1)["results"]) == 1


def test_a_group_is_asked_by_its_arn(logs: Any) -> None:
    put(logs, "text")
    (group,) = logs.describe_log_groups()["logGroups"]
    now = int(time.time())
    started = logs.start_query(
        logGroupIdentifiers=[group["logGroupArn"]],
        startTime=now - 60,
        endTime=now + 60,
        queryString="stats count(*) as n by @log",
    )
    (row,) = logs.get_query_results(queryId=started["queryId"])["results"]
    assert {one["field"]: one["value"] for one in row} == {
        "@log": f"123456789012:{GROUP}",
        "n": "1",
    }


def test_what_is_asked_wrongly(logs: Any) -> None:
    for query, code in (
        ("bogus x", "MalformedQueryException"),
        ("pattern @message", "NotEmulated"),
    ):
        with pytest.raises(Refused) as refused:
            asked(logs, query)
        assert refused.value.code == code
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        asked(logs, "fields @message", logGroupName="/none")
    with pytest.raises(ClientError, match="does not exist"):
        logs.get_query_results(queryId="none")
    with pytest.raises(Refused, match="Invalid filter pattern"):
        logs.filter_log_events(logGroupName=GROUP, filterPattern="{ $.loss > }")
    with pytest.raises(Refused, match="Invalid filter pattern"):
        logs.put_metric_filter(
            logGroupName=GROUP,
            filterName="f",
            filterPattern="[a b]",
            metricTransformations=[
                {"metricName": "E", "metricNamespace": "Mine", "metricValue": "1"}
            ],
        )
