"""What a Lambda function of the local cloud logs, how its failures look, and what events become."""

import base64
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kits.deliveries import let_invoke, open_queue
from tests.kits.local_cloud import BUCKET, ROLE, Cloud
from tests.kits.path import wait_until

ACCOUNT = ROLE.split(":")[4]
HEAD = "us-east-1:" + ACCOUNT

CODE = """
import json, logging, os, sys, time, traceback

def told(event, context):
    print("hello", event["name"])
    logging.getLogger().warning("careful")
    return [context.aws_request_id, context.invoked_function_arn, context.function_version]

def broken(event, context):
    inner(event)

def inner(event):
    raise ValueError("no")

def slow(event, context):
    print("begun", flush=True)
    time.sleep(60)

def gone(event, context):
    os._exit(event["code"])

def nothing_json(event, context):
    return {1, 2}

def once_broken(event, context):
    import boto3
    client = boto3.client("s3")
    at = {"Bucket": event["bucket"], "Key": context.aws_request_id}
    if client.list_objects_v2(Bucket=at["Bucket"], Prefix=at["Key"])["KeyCount"]:
        return event["answer"]
    client.put_object(**at)
    raise RuntimeError("once")
"""


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("main.py", CODE)
        packed.writestr("bad.py", "def handler(event, context:\n")
    return made.getvalue()


def function(cloud: Cloud, handler: str, name: str = "", **more: Any) -> str:
    made = name or handler.replace(".", "-")
    handler = handler if "." in handler else f"main.{handler}"
    cloud.client("lambda").create_function(
        FunctionName=made, Role=ROLE, Runtime="python3.11", Handler=handler,
        Code={"ZipFile": archive()}, **{"Timeout": 30, **more},
    )  # fmt: skip
    return made


def invoke(cloud: Cloud, name: str, event: Any = None, **more: Any) -> tuple[Any, list[str], str]:
    """Payload, lines of the log and the id of the request."""
    payload = json.dumps(event or {}).encode()
    told = cloud.client("lambda").invoke(FunctionName=name, LogType="Tail", Payload=payload, **more)
    lines = base64.b64decode(told["LogResult"]).decode().splitlines()
    return json.loads(told["Payload"].read()), lines, told["ResponseMetadata"]["RequestId"]


def logged(cloud: Cloud, name: str) -> list[str]:
    logs = cloud.client("logs")
    found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    return [event["message"] for event in found]


def report(line: str) -> Mapping[str, str]:
    return dict(part.split(": ", 1) for part in line.removeprefix("REPORT ").split("\t") if part)


def test_a_log_begins_and_ends_as_on_aws(cloud: Cloud) -> None:
    name = function(cloud, "told")
    cloud.client("lambda").publish_version(FunctionName=name)
    answer, lines, request = invoke(cloud, name, {"name": "you"}, Qualifier="1")
    arn = f"arn:aws:lambda:{HEAD}:function:told:1"
    assert answer == [request, arn, "1"]
    assert lines[0] == f"START RequestId: {request} Version: 1"
    assert "hello you" in lines
    assert any(re.fullmatch(rf"\[WARNING\]\t[-\dT:.]+Z\t{request}\tcareful", one) for one in lines)
    assert lines[-2] == f"END RequestId: {request}"
    told = report(lines[-1])
    assert told["RequestId"] == request and told["Memory Size"] == "128 MB"
    for member in ("Duration", "Init Duration"):
        assert re.fullmatch(r"\d+\.\d\d ms", told[member])
    assert re.fullmatch(r"\d+ ms", told["Billed Duration"])
    assert 1 <= int(told["Max Memory Used"].removesuffix(" MB")) < 1000
    assert logged(cloud, name) == lines


def test_a_failure_shows_the_handlers_frames_alone(cloud: Cloud) -> None:
    name = function(cloud, "broken")
    answer, lines, request = invoke(cloud, name)
    frames = [
        '  File "/var/task/main.py", line 10, in broken\n    inner(event)\n',
        '  File "/var/task/main.py", line 13, in inner\n    raise ValueError("no")\n',
    ]
    assert answer == {
        "errorMessage": "no", "errorType": "ValueError", "requestId": request, "stackTrace": frames,
    }  # fmt: skip
    error = ["[ERROR] ValueError: no", "Traceback (most recent call last):"]
    shown = [*error, *"".join(frames).splitlines()]
    assert lines[1:-2] == shown
    assert logged(cloud, name)[1] == "\n".join(shown)


@pytest.mark.parametrize(
    ("handler", "event", "kind", "message"),
    [
        ("none.handler", {}, "Runtime.ImportModuleError",
         "Unable to import module 'none': No module named 'none'"),
        ("main.none", {}, "Runtime.HandlerNotFound", "Handler 'none' missing on module 'main'"),
        ("bad.handler", {}, "Runtime.UserCodeSyntaxError",
         "Syntax error in module 'bad': '(' was never closed (bad.py, line 1)"),
        ("main.nothing_json", {}, "Runtime.MarshalError",
         "Unable to marshal response: Object of type set is not JSON serializable"),
        ("main.gone", {"code": 3}, "Runtime.ExitError",
         "RequestId: {request} Error: Runtime exited with error: exit status 3"),
        ("main.gone", {"code": 0}, "Runtime.ExitError",
         "RequestId: {request} Error: Runtime exited without providing a reason"),
    ],
)  # fmt: skip
def test_what_goes_wrong_has_lambdas_words(
    handler: str, event: Any, kind: str, message: str, cloud: Cloud
) -> None:
    name = f"{handler.replace('.', '-')}-{len(event)}-{event.get('code')}"
    function(cloud, handler, name)
    answer, lines, request = invoke(cloud, name, event)
    assert (answer["errorType"], answer["errorMessage"]) == (kind, message.format(request=request))
    assert str(cloud.home) not in json.dumps(answer) + "".join(lines)
    assert lines[-2] == f"END RequestId: {request}"


def test_a_time_out_is_told_and_logged(cloud: Cloud) -> None:
    name = function(cloud, "slow", Timeout=1)
    answer, lines, request = invoke(cloud, name)
    words = "Task timed out after 1.00 seconds"
    told = f"RequestId: {request} Error: {words}"
    assert answer == {"errorType": "Sandbox.Timedout", "errorMessage": told}
    assert any(re.fullmatch(rf"[-\dT:.]+Z {request} {words}", line) for line in lines)
    shown = report(lines[-1])
    assert (shown["Duration"], shown["Status"]) == ("1000.00 ms", "timeout")


def queue(cloud: Cloud, name: str) -> str:
    open_queue(cloud.client("sqs"), name)
    return f"arn:aws:sqs:{HEAD}:{name}"


def received(cloud: Cloud, name: str) -> Mapping[str, Any]:
    """The next message of a queue, once there is one."""
    sqs, found = cloud.client("sqs"), []
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def there() -> bool:
        told = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=1)
        found.extend(told.get("Messages", []))
        return bool(found)

    wait_until(there)
    message: Mapping[str, Any] = found[0]
    return message


def told_later(cloud: Cloud, name: str, event: Any, **more: Any) -> str:
    """Invoke and do not wait; the id of the request."""
    told = cloud.client("lambda").invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode(), **more
    )
    assert (told["StatusCode"], told["Payload"].read()) == (202, b"")
    return str(told["ResponseMetadata"]["RequestId"])


def test_an_event_is_tried_again_and_its_success_is_told(cloud: Cloud) -> None:
    name = function(cloud, "once_broken")
    where = {"OnSuccess": {"Destination": queue(cloud, "done")}}
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName=name, DestinationConfig=where
    )
    event = {"bucket": BUCKET, "answer": 7}
    request = told_later(cloud, name, event)
    record = json.loads(received(cloud, "done")["Body"])
    assert re.fullmatch(r"[-\dT:]+\.\d{3}Z", record.pop("timestamp"))
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request,
            "functionArn": f"arn:aws:lambda:{HEAD}:function:once_broken:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 2,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": 7,
    }
    starts = [line for line in logged(cloud, name) if line.startswith("START")]
    assert starts == [f"START RequestId: {request} Version: $LATEST"] * 2


def test_an_event_that_fails_goes_to_both_queues(cloud: Cloud) -> None:
    name = function(cloud, "main.broken", "hopeless",
                    DeadLetterConfig={"TargetArn": queue(cloud, "dead")})  # fmt: skip
    functions = cloud.client("lambda")
    functions.publish_version(FunctionName=name)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    functions.put_function_event_invoke_config(
        FunctionName=name, Qualifier="live", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue(cloud, "failed")}},
    )  # fmt: skip
    request = told_later(cloud, name, {"a": 1}, Qualifier="live")
    record = json.loads(received(cloud, "failed")["Body"])
    context = record["requestContext"]
    assert context["functionArn"].endswith(":function:hopeless:live")
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetriesExhausted", 1)
    answered = {"statusCode": 200, "executedVersion": "1", "functionError": "Unhandled"}
    assert record["responseContext"] == answered
    assert record["responsePayload"]["errorMessage"] == "no"
    letter = received(cloud, "dead")
    assert json.loads(letter["Body"]) == {"a": 1}
    told = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert told == {"RequestID": request, "ErrorCode": "200", "ErrorMessage": "no"}


@pytest.mark.parametrize("kind", ["sns", "lambda", "events", "s3"])
def test_other_destinations(kind: str, cloud: Cloud) -> None:
    name = function(cloud, "main.broken", f"to-{kind}")
    inbox, told = queue(cloud, f"inbox-{kind}"), cloud.client(kind)
    functions = cloud.client("lambda")
    if kind == "sns":
        arn = told.create_topic(Name="t")["TopicArn"]
        told.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=inbox,
                       Attributes={"RawMessageDelivery": "true"})  # fmt: skip
    elif kind == "lambda":
        arn = f"arn:aws:lambda:{HEAD}:function:{function(cloud, 'main.broken', 'second')}"
        functions.put_function_event_invoke_config(
            FunctionName="second", MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": inbox}},
        )  # fmt: skip
    elif kind == "events":
        arn = f"arn:aws:events:{HEAD}:event-bus/default"
        told.put_rule(Name="r", EventPattern=json.dumps({"source": ["lambda"]}))
        told.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": inbox}])
    else:
        arn = f"arn:aws:s3:::{BUCKET}"
    functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )  # fmt: skip
    told_later(cloud, name, {"a": 1})
    if kind == "s3":
        place = {"Bucket": BUCKET, "Prefix": f"aws/lambda/async/{name}/"}
        wait_until(lambda: told.list_objects_v2(**place)["KeyCount"] == 1)
        (key,) = [one["Key"] for one in told.list_objects_v2(**place)["Contents"]]
        form = rf"{place['Prefix']}\d{{4}}/\d\d/\d\d/[-\dT.]+-[-0-9a-f]{{36}}"
        assert re.fullmatch(form, key)
        record = json.loads(told.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    else:
        record = json.loads(received(cloud, f"inbox-{kind}")["Body"])
    if kind == "events":
        assert record["detail-type"] == "Lambda Function Invocation Result - Failure"
        assert record["resources"][0] == arn
        record = record["detail"]
    record = record["requestPayload"] if kind == "lambda" else record
    assert record["requestContext"]["functionArn"].endswith(f":{name}:$LATEST")
    assert record["responsePayload"]["errorType"] == "ValueError"


def test_a_bucket_does_not_wait_for_an_alias_and_its_letters_go_to_a_topic(cloud: Cloud) -> None:
    topics, functions = cloud.client("sns"), cloud.client("lambda")
    topic = topics.create_topic(Name="letters")["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue(cloud, "letters"),
                     Attributes={"RawMessageDelivery": "true"})  # fmt: skip
    name = function(cloud, "main.broken", "noticed", DeadLetterConfig={"TargetArn": topic})
    functions.publish_version(FunctionName=name)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    functions.put_function_event_invoke_config(
        FunctionName=name, Qualifier="live", MaximumRetryAttempts=0
    )
    arn = f"arn:aws:lambda:{HEAD}:function:{name}:live"
    notices = [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="noticed")
    let_invoke(functions, name, "s3.amazonaws.com", Qualifier="live")
    s3.put_bucket_notification_configuration(
        Bucket="noticed", NotificationConfiguration={"LambdaFunctionConfigurations": notices}
    )
    s3.put_object(Bucket="noticed", Key="here", Body=b"x")
    letter = received(cloud, "letters")
    (record,) = json.loads(letter["Body"])["Records"]
    assert record["s3"]["object"]["key"] == "here"
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no"
    starts = [line for line in logged(cloud, name) if line.startswith("START")]
    assert len(starts) == 1 and starts[0].endswith("Version: 1")


def test_a_stopped_function_gives_its_events_away_untried(cloud: Cloud) -> None:
    name, functions = function(cloud, "told", "stopped"), cloud.client("lambda")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    functions.put_function_event_invoke_config(
        FunctionName=name,
        DestinationConfig={"OnFailure": {"Destination": queue(cloud, "untried")}},
    )
    told_later(cloud, name, {"name": "a"})
    record = json.loads(received(cloud, "untried")["Body"])
    context = record["requestContext"]
    assert context["condition"] == "ZeroReservedConcurrency"
    assert (context["approximateInvokeCount"], "responsePayload" in record) == (0, False)
