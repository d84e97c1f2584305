"""What Invoke of Lambda refuses, and what it says of a call."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.awslambda.models import LambdaFunction

from stacks.local.aws import moto_lambda
from stacks.local.aws.lambda_async import Event, config_of
from stacks.local.runtime.lambda_functions import Answer, Call
from tests.kits.aws import client
from tests.kits.deliveries import let_invoke
from tests.kits.local_cloud import refusal

ROLE = "arn:aws:iam::123456789012:role/function"
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
WAITING: list[Event] = []
"""What nobody waits for."""

TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function whose first version answers 1, and whose newest answers 2 or fails."""

    def run(function: Any, call: Call) -> Answer:
        answer = json.dumps(function.environment_vars["ANSWER"])
        return Answer(payload=answer, failed="fail" in call.event, events=["x" * 5000, "line"])

    monkeypatch.setattr(LambdaFunction, "_invoke_lambda", run)
    moto_lambda.install(WAITING.append)
    WAITING.clear()
    with mock_aws():
        document = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=document)
        once = Config(retries={"total_max_attempts": 1})
        made = boto3.client("lambda", region_name="us-east-1", config=once, **KEYS)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("i.py", "def handler(event, context): ...")
        made.create_function(
            FunctionName="f", Runtime="python3.11", Role=ROLE, Handler="i.handler",
            Code={"ZipFile": archive.getvalue()}, Environment={"Variables": {"ANSWER": "1"}},
            Publish=True,
        )  # fmt: skip
        made.update_function_configuration(
            FunctionName="f", Environment={"Variables": {"ANSWER": "2"}}
        )
        made.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
        yield made


@pytest.mark.parametrize(
    ("name", "qualifier", "answer", "version"),
    [
        ("f", None, "2", "$LATEST"),
        ("f", "$LATEST", "2", "$LATEST"),
        ("f", "1", "1", "1"),
        ("f", "live", "1", "1"),
        ("f:live", None, "1", "1"),
    ],
)
def test_the_version_that_is_asked_for_runs(
    name: str, qualifier: str | None, answer: str, version: str, functions: Any
) -> None:
    asked = {"Qualifier": qualifier} if qualifier else {}
    told = functions.invoke(FunctionName=name, **asked)
    assert json.loads(told["Payload"].read()) == answer
    assert told["ExecutedVersion"] == version and "FunctionError" not in told


def test_what_fails_is_unhandled(functions: Any) -> None:
    assert (
        functions.invoke(FunctionName="f", Payload=b'{"fail": 1}')["FunctionError"] == "Unhandled"
    )


def test_a_log_is_its_last_four_kilobytes(functions: Any) -> None:
    told = functions.invoke(FunctionName="f", LogType="Tail")
    shown = base64.b64decode(told["LogResult"]).decode()
    assert (len(shown), shown.endswith("xxx\nline\n")) == (4096, True)
    assert "LogResult" not in functions.invoke(FunctionName="f")


@pytest.mark.parametrize(
    ("asked", "version", "qualifier"),
    [
        ({"FunctionName": "f"}, "$LATEST", ""),
        ({"FunctionName": "f", "Qualifier": "live"}, "1", "live"),
        ({"FunctionName": "f:1"}, "1", "1"),
        ({"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:f:live"}, "1", "live"),
    ],
)
def test_nobody_waits_for_an_event(
    asked: Any, version: str, qualifier: str, functions: Any
) -> None:
    told = functions.invoke(InvocationType="Event", Payload=b'{"fail": 1}', **asked)
    assert (told["StatusCode"], told["Payload"].read()) == (202, b"")
    assert "FunctionError" not in told and "ExecutedVersion" not in told
    (waiting,) = WAITING
    assert (waiting.content, waiting.qualifier) == ({"fail": 1}, qualifier)
    assert str(waiting.function.version) == version
    assert waiting.request_id == told["ResponseMetadata"]["RequestId"]


def test_an_event_may_be_a_megabyte(functions: Any) -> None:
    payload = json.dumps("x" * (1 << 20)).encode()
    asked = {"FunctionName": "f", "InvocationType": "Event", "Payload": payload}
    functions.invoke_async(FunctionName="f", InvokeArgs=b'{"a": 2}')
    assert WAITING.pop().content == {"a": 2}
    assert refusal(functions.invoke, **asked) == (
        "RequestEntityTooLargeException",
        "1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        413,
    )
    functions.invoke(FunctionName="f", InvocationType="RequestResponse", Payload=b'{"a": 1}')


def test_a_stopped_function_still_takes_events(functions: Any) -> None:
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert functions.invoke(FunctionName="f", InvocationType="Event")["StatusCode"] == 202


def test_topics_do_not_wait_for_functions(functions: Any) -> None:
    topics = client("sns")
    topic = topics.create_topic(Name="t")["TopicArn"]
    arn = functions.get_function(FunctionName="f")["Configuration"]["FunctionArn"]
    topics.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    let_invoke(functions, "f", "sns.amazonaws.com")
    topics.publish(TopicArn=topic, Message="m")
    (waiting,) = WAITING
    assert waiting.content["Records"][0]["Sns"]["Message"] == "m"


def test_versions_and_aliases_have_configurations_of_their_own(functions: Any) -> None:
    put, get = (
        functions.put_function_event_invoke_config,
        functions.get_function_event_invoke_config,
    )
    where = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:q"}}
    put(FunctionName="f", MaximumRetryAttempts=1)
    put(FunctionName="f", Qualifier="live", MaximumRetryAttempts=0, DestinationConfig=where)
    told = get(FunctionName="f")
    assert told["FunctionArn"].endswith(":f:$LATEST")
    assert (told["MaximumRetryAttempts"], "DestinationConfig" in told) == (1, False)
    functions.update_function_event_invoke_config(
        FunctionName="f", Qualifier="live", MaximumEventAgeInSeconds=60
    )
    told = get(FunctionName="f:live")
    assert (told["MaximumEventAgeInSeconds"], told["DestinationConfig"]) == (60, where)
    put(FunctionName="f", Qualifier="live", MaximumRetryAttempts=2)
    assert "DestinationConfig" not in get(FunctionName="f", Qualifier="live")
    assert len(functions.list_function_event_invoke_configs(FunctionName="f")
               ["FunctionEventInvokeConfigs"]) == 2  # fmt: skip
    functions.invoke(FunctionName="f", Qualifier="live", InvocationType="Event")
    assert config_of(WAITING[0].function, "live") == {"MaximumRetryAttempts": 2}
    assert config_of(WAITING[0].function, "1") == {}
    functions.delete_function_event_invoke_config(FunctionName="f", Qualifier="live")
    code, message, status = refusal(get, FunctionName="f", Qualifier="live")
    assert (code, status, "function:f:live" in message) == ("ResourceNotFoundException", 404, True)
    assert get(FunctionName="f")["MaximumRetryAttempts"] == 1


def test_dead_letters_are_shown(functions: Any) -> None:
    where = {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:q"}
    shown = functions.update_function_configuration(FunctionName="f", DeadLetterConfig=where)
    assert shown["DeadLetterConfig"] == where
    shown = functions.get_function_configuration(FunctionName="f")
    assert shown["DeadLetterConfig"] == where
    functions.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in functions.get_function_configuration(FunctionName="f")


def test_a_dry_run_runs_nothing(functions: Any) -> None:
    told = functions.invoke(FunctionName="f", InvocationType="DryRun", Payload=b'{"fail": 1}')
    assert told["StatusCode"] == 204 and "FunctionError" not in told
    assert (told["Payload"].read(), WAITING) == (b"", [])


def test_what_lambda_refuses(functions: Any) -> None:
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        functions.invoke(FunctionName="f", Payload=b"{no json")
    told = refusal(functions.invoke, FunctionName="f", InvocationType="Later")
    assert told[0] == "ValidationException" and "'invocationType'" in told[1]
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException") as caught:
        functions.invoke(FunctionName="f")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
