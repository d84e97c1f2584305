"""Events on a stream become records of a feature group, through the function that is deployed."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, ROLE, Cloud, running_cloud, trusted_role
from tests.kits.path import wait_until

INGEST = (Path(__file__).parents[3] / "pipelines" / "stream" / "ingest.py").read_text()


POISON = """
import base64, boto3, os
def handler(event, context):
    texts = [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
    if "poison" in texts:
        raise ValueError("cannot take " + ", ".join(texts))
    for text in texts:
        boto3.client("sqs").send_message(QueueUrl=os.environ["SEEN"], MessageBody=text)
"""

SECOND_TRY = """
import base64, boto3, os
def handler(event, context):
    failed = []
    for record in event["Records"]:
        key = "tried/" + base64.b64decode(record["kinesis"]["data"]).decode()
        found = boto3.client("s3").list_objects_v2(Bucket=os.environ["BUCKET"], Prefix=key)
        if not found["KeyCount"]:
            failed.append({"itemIdentifier": record["kinesis"]["sequenceNumber"]})
        key = f"{key}/{context.aws_request_id}"
        boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=key)
    return {"batchItemFailures": failed}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        trusted_role(running.client("iam"), "stream")
        yield running


def archive(code: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("main.py", code)
    return out.getvalue()


@dataclass(frozen=True)
class Flow:
    """A stream, the function behind it and the queues beside it."""

    cloud: Cloud
    name: str
    mapping_id: str
    dead_letters: str
    seen: str

    def put(self, *messages: object) -> None:
        """Write messages to one shard in one request, so that they come in this order."""
        texts = [text if isinstance(text, str) else json.dumps(text) for text in messages]
        entries = [{"Data": text.encode(), "PartitionKey": "one"} for text in texts]
        self.cloud.client("kinesis").put_records(StreamName=self.name, Records=entries)

    def messages(self, queue_url: str, count: int) -> list[str]:
        """What lies in a queue, once there is so much."""
        sqs, found = self.cloud.client("sqs"), list[str]()

        def enough() -> bool:
            answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                found.append(message["Body"])
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= count

        wait_until(enough)
        return found


@pytest.fixture
def flow(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[Callable[..., Flow]]:
    """Deploys a function behind a new stream."""
    made: list[Flow] = []

    def deploy(code: str, groups: Sequence[str] = (), **mapping: Any) -> Flow:
        name = f"flow-{time.time_ns()}"
        sqs, kinesis = cloud.client("sqs"), cloud.client("kinesis")
        dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        seen = sqs.create_queue(QueueName=f"{name}-seen")["QueueUrl"]
        dead_arn = f"arn:aws:sqs:us-east-1:123456789012:{name}-dead"
        kinesis.create_stream(StreamName=name, ShardCount=1)
        variables = {
            "FEATURE_GROUPS": json.dumps({group.partition("-")[0]: group for group in groups}),
            "DEAD_LETTER_QUEUE_URL": dead,
            "SEEN": seen,
            "BUCKET": BUCKET,
        }
        functions = cloud.client("lambda")
        functions.create_function(
            FunctionName=name,
            Role="arn:aws:iam::123456789012:role/stream",
            Runtime="python3.13",
            Handler="main.handler",
            Code={"ZipFile": archive(code)},
            Timeout=30,
            Environment={"Variables": variables},
        )
        answer = functions.create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=f"arn:aws:kinesis:us-east-1:123456789012:stream/{name}",
            StartingPosition="TRIM_HORIZON",
            FunctionResponseTypes=["ReportBatchItemFailures"],
            DestinationConfig={"OnFailure": {"Destination": dead_arn}},
            **mapping,
        )
        made.append(Flow(cloud, name, answer["UUID"], dead, seen))
        return made[-1]

    yield deploy
    for one in made:
        cloud.client("lambda").delete_event_source_mapping(UUID=one.mapping_id)


@pytest.fixture
def flights(cloud: Cloud) -> str:
    name = f"flights-{time.time_ns()}"
    features = {"id": "String", "at": "String", "distance": "Integral", "late": "Integral"}
    cloud.client("sagemaker").create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": feature, "FeatureType": kind} for feature, kind in features.items()
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        RoleArn=ROLE,
    )
    return name


def read(cloud: Cloud, group: str, identifier: str) -> dict[str, str]:
    answer = cloud.client("sagemaker-featurestore-runtime").get_record(
        FeatureGroupName=group, RecordIdentifierValueAsString=identifier
    )
    return {value["FeatureName"]: value["ValueAsString"] for value in answer.get("Record", [])}


def event(identifier: str, at: str, **features: object) -> dict[str, object]:
    return {"entity": "flights", "record": {"id": identifier, "at": at, **features}}


def test_an_event_on_the_stream_is_served_as_a_record(
    cloud: Cloud, flow: Callable[..., Flow], flights: str
) -> None:
    flow(INGEST, [flights]).put(
        event("a", "2013-01-02T00:00:00Z", distance=2, late=True),
        event("a", "2013-01-01T00:00:00Z", distance=1, late=None),  # late: it changes nothing
    )
    assert wait_until(lambda: read(cloud, flights, "a")) == {
        "id": "a",
        "at": "2013-01-02T00:00:00Z",
        "distance": "2",
        "late": "1",
    }


def test_a_bad_message_is_kept_with_its_reason_and_stops_no_other(
    cloud: Cloud, flow: Callable[..., Flow], flights: str
) -> None:
    bad = {
        "not json": "must be JSON",
        json.dumps({"entity": "planes", "record": {"id": "x"}}): "one of flights, got 'planes'",
        json.dumps(event("b", "2013-01-01T00:00:00Z", distance="far")): "Integral",
        json.dumps(event("b", "2013-01-01T00:00:00Z", distance=[1])): "one value each",
        json.dumps({"entity": "flights", "record": {"id": "b"}}): "must have a value for 'at'",
    }
    running = flow(INGEST, [flights])
    running.put(*bad, event("good", "2013-01-02T00:00:00Z"))
    assert wait_until(lambda: read(cloud, flights, "good"))
    buried = [json.loads(body) for body in running.messages(running.dead_letters, len(bad))]
    assert sorted(base64.b64decode(body["data"]).decode() for body in buried) == sorted(bad)
    for body in buried:
        assert bad[base64.b64decode(body["data"]).decode()] in body["reason"]


def test_a_batch_that_breaks_the_function_is_bisected_until_only_the_cause_is_given_up(
    flow: Callable[..., Flow],
) -> None:
    running = flow(POISON, MaximumRetryAttempts=1, BisectBatchOnFunctionError=True)
    running.put("one", "two", "poison", "three")
    assert sorted(running.messages(running.seen, 3)) == ["one", "three", "two"]
    [letter] = [json.loads(body) for body in running.messages(running.dead_letters, 1)]
    batch = letter["KinesisBatchInfo"]
    assert (batch["batchSize"], batch["startSequenceNumber"]) == (1, "3")
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"


def test_what_failed_in_part_is_tried_again_from_there(
    cloud: Cloud, flow: Callable[..., Flow]
) -> None:
    flow(SECOND_TRY, MaximumRetryAttempts=5).put("first", "second")
    s3 = cloud.client("s3")

    def tries(name: str) -> int:
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"tried/{name}/")
        return int(found["KeyCount"])

    assert wait_until(lambda: tries("first") == 2 and tries("second") == 2)
    time.sleep(2)  # two more rounds: nothing is left to try
    assert (tries("first"), tries("second")) == (2, 2)


def test_lag_and_dead_letters_can_be_seen(cloud: Cloud, flow: Callable[..., Flow]) -> None:
    running = flow(POISON, MaximumRetryAttempts=0)
    running.put("poison")
    metrics = cloud.client("cloudwatch")

    def known(namespace: str, name: str, value: str) -> Any:
        found = metrics.list_metrics(Namespace=namespace, MetricName=name)["Metrics"]
        return [m for m in found if value in [d["Value"] for d in m["Dimensions"]]]

    assert wait_until(lambda: known("AWS/Lambda", "IteratorAge", running.name))
    depth = "ApproximateNumberOfMessagesVisible"
    assert wait_until(lambda: known("AWS/SQS", depth, f"{running.name}-dead"))


def test_a_function_can_be_called_and_says_what_went_wrong(
    cloud: Cloud, flow: Callable[..., Flow]
) -> None:
    functions = cloud.client("lambda")
    code = "def handler(event, context):\n    print('at work')\n    return 1 / event['by']"
    name = flow(code).name
    good = functions.invoke(FunctionName=name, Payload=b'{"by": 2}', LogType="Tail")
    assert json.loads(good["Payload"].read()) == 0.5
    assert "at work" in base64.b64decode(good["LogResult"]).decode()
    bad = functions.invoke(FunctionName=name, Payload=b'{"by": 0}')
    assert bad["FunctionError"]
    assert json.loads(bad["Payload"].read())["errorType"] == "ZeroDivisionError"


def test_a_function_is_stopped_at_its_timeout_and_sees_nothing_of_ours(
    cloud: Cloud, flow: Callable[..., Flow]
) -> None:
    functions = cloud.client("lambda")
    code = (
        "import os, sys, time\ndef handler(event, context):\n    time.sleep(event['seconds'])\n"
        "    return [os.getcwd(), sys.path[0], context.get_remaining_time_in_millis() <= 1000]"
    )
    name = flow(code).name
    functions.update_function_configuration(FunctionName=name, Timeout=1)
    slow = functions.invoke(FunctionName=name, Payload=b'{"seconds": 30}')
    assert "timed out after 1.00 seconds" in json.loads(slow["Payload"].read())["errorMessage"]
    quick = functions.invoke(FunctionName=name, Payload=b'{"seconds": 0}')
    folder, first, in_time = json.loads(quick["Payload"].read())
    assert folder == first and folder.startswith(str(cloud.home)) and in_time
