"""State machines run: their tasks call this cloud as the role of the machine."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kits.local_cloud import ROLE, Cloud, refusal
from tests.kits.path import wait_until

SYNC = "arn:aws:states:::sagemaker:createProcessingJob.sync"
END, PASS = {"Type": "Succeed"}, {"Type": "Pass"}
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:"


@pytest.fixture(scope="module")
def states(cloud: Cloud) -> Any:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": ["states.amazonaws.com", "sagemaker.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    }
    iam, name = cloud.client("iam"), ROLE.rpartition("/")[2]
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    return cloud.client("stepfunctions")


def processing(code: str, name: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": SYNC,
        "Parameters": {
            "ProcessingJobName.$": f"States.Format('{name}-{{}}', $.run)",
            "RoleArn": ROLE,
            "AppSpecification": {
                "ImageUri": "image:1",
                "ContainerEntrypoint": ["python3", "-c", code],
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
        },
    }


def ended(states: Any, name: str, machine: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
    """What an execution of a machine ends with."""
    states.create_state_machine(name=name, definition=json.dumps(machine), roleArn=ROLE)
    arn = states.start_execution(
        stateMachineArn=f"{MACHINE}{name}", name="one", input=json.dumps(given)
    )["executionArn"]
    wait_until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
    told: Mapping[str, Any] = states.describe_execution(executionArn=arn)
    return told


def test_jobs_are_waited_for_and_their_failure_is_caught(states: Any) -> None:
    machine = {
        "StartAt": "Good",
        "States": {
            "Good": {**processing("print(1)", "good"), "ResultPath": "$.good", "Next": "Each"},
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "ItemProcessor": {
                    "StartAt": "Add",
                    "States": {
                        "Add": {
                            "Type": "Pass",
                            "Parameters": {"sum.$": "States.MathAdd($, 1)"},
                            "End": True,
                        }
                    },
                },
                "ResultPath": "$.each",
                "Next": "Bad",
            },
            "Bad": {
                **processing("raise SystemExit(4)", "bad"),
                "Catch": [
                    {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "End"}
                ],
                "End": True,
            },
            "End": {"Type": "Succeed"},
        },
    }
    told = ended(states, "jobs", machine, {"run": "a", "items": [1, 2]})
    assert told["status"] == "SUCCEEDED", told
    output = json.loads(told["output"])
    assert output["good"]["ProcessingJobStatus"] == "Completed"
    assert output["each"] == [{"sum": 2}, {"sum": 3}]
    assert output["error"]["Error"] == "States.TaskFailed"
    assert "exit code: 4" in json.loads(output["error"]["Cause"])["FailureReason"]
    events = states.get_execution_history(executionArn=told["executionArn"])["events"]
    assert {"ExecutionStarted", "TaskSubmitted", "TaskFailed", "ExecutionSucceeded"} <= {
        event["type"] for event in events
    }
    again = {"stateMachineArn": f"{MACHINE}jobs", "name": "one"}
    assert refusal(states.start_execution, **again, input="[]")[0] == "ExecutionAlreadyExists"


def test_branches_choose_and_call_other_services(cloud: Cloud, states: Any) -> None:
    topic = cloud.client("sns").create_topic(Name="branches")["TopicArn"]
    cloud.client("dynamodb").create_table(
        TableName="branches", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    item = {"id": {"S.$": "$.id"}, "n": {"N": "1"}}
    tasks = {
        "dynamodb:putItem": {"TableName": "branches", "Item": item},
        "sns:publish": {"TopicArn": topic, "Message.$": "$.id"},
        "events:putEvents": {"Entries": [{"Source": "ours", "DetailType": "t", "Detail": {}}]},
        "aws-sdk:sts:getCallerIdentity": {},
    }
    branches = [
        {"StartAt": "T", "States": {"T": {
            "Type": "Task", "Resource": f"arn:aws:states:::{name}", "Parameters": asked,
            "End": True,
        }}}
        for name, asked in tasks.items()
    ]  # fmt: skip
    machine = {
        "StartAt": "All",
        "States": {
            "All": {
                "Type": "Parallel", "Branches": branches, "ResultPath": "$.all", "Next": "Pause",
            },
            "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Which"},
            "Which": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.id", "StringEquals": "a", "Next": "Good"}],
                "Default": "Bad",
            },
            "Good": END,
            "Bad": {"Type": "Fail", "Error": "Other"},
        },
    }  # fmt: skip
    told = ended(states, "branches", machine, {"id": "a"})
    assert told["status"] == "SUCCEEDED", told
    _, published, sent, caller = json.loads(told["output"])["all"]
    assert published["MessageId"] and sent["FailedEntryCount"] == 0
    assert f":assumed-role/{ROLE.rpartition('/')[2]}/" in caller["Arn"]
    held = cloud.client("dynamodb").get_item(TableName="branches", Key={"id": {"S": "a"}})
    assert held["Item"]["n"] == {"N": "1"}
    assert ended(states, "branches-2", machine, {"id": "b"})["error"] == "Other"


@pytest.mark.parametrize("ends", ["SUCCEEDED", "FAILED"])
def test_a_task_waits_for_its_token(ends: str, cloud: Cloud, states: Any) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName=f"tokens-{ends}")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        "End": True,
    }
    machine = json.dumps({"StartAt": "Ask", "States": {"Ask": task}})
    states.create_state_machine(name=f"token-{ends}", definition=machine, roleArn=ROLE)
    arn = states.start_execution(stateMachineArn=f"{MACHINE}token-{ends}")["executionArn"]
    bodies: list[str] = []

    def came() -> bool:
        got = sqs.receive_message(QueueUrl=queue).get("Messages", ())
        bodies.extend(one["Body"] for one in got)
        return bool(bodies)

    wait_until(came)
    assert states.describe_execution(executionArn=arn)["status"] == "RUNNING"
    token = json.loads(bodies[0])["token"]
    if ends == "FAILED":
        states.send_task_failure(taskToken=token, error="No", cause="not good")
    else:
        states.send_task_success(taskToken=token, output=json.dumps({"good": True}))
    wait_until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
    told = states.describe_execution(executionArn=arn)
    assert told["status"] == ends
    said = json.loads(told["output"]) if ends == "SUCCEEDED" else (told["error"], told["cause"])
    assert said == ({"good": True} if ends == "SUCCEEDED" else ("No", "not good"))


@pytest.mark.parametrize(
    ("name", "state", "error"),
    [
        ("fails", {"Type": "Fail", "Error": "Mine", "Cause": "why"}, "Mine"),
        (
            "asks",
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::sagemaker:createModel",
                "Parameters": {"ModelName": "not a name"},
                "End": True,
            },
            "SageMaker.AmazonSageMakerException",
        ),
    ],
)
def test_an_execution_fails_with_its_error(
    name: str, state: Mapping[str, Any], error: str, states: Any
) -> None:
    told = ended(states, name, {"StartAt": "S", "States": {"S": state}}, {})
    assert (told["status"], told["error"]) == ("FAILED", error)


def test_an_execution_is_stopped(states: Any) -> None:
    machine = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
    states.create_state_machine(name="waits", definition=json.dumps(machine), roleArn=ROLE)
    arn = states.start_execution(stateMachineArn=f"{MACHINE}waits")["executionArn"]
    states.stop_execution(executionArn=arn)
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ("{", "Expecting property name"),
        ({"StartAt": "No", "States": {"A": END}}, "MISSING_TRANSITION_TARGET: StartAt"),
        ({"StartAt": "A", "States": {"A": {**PASS, "Next": "B"}}}, "MISSING_TRANSITION_TARGET: B"),
        ({"StartAt": "A", "States": {"A": {**PASS, "Type": "Magic"}}}, "Invalid State Machine"),
        ({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": END}}, "JSONata"),
    ],
)  # fmt: skip
def test_a_machine_that_is_none_is_refused(machine: Any, told: str, states: Any) -> None:
    text = machine if isinstance(machine, str) else json.dumps(machine)
    code, message, _ = refusal(
        states.create_state_machine, name="none", definition=text, roleArn=ROLE
    )
    assert code == "InvalidDefinition" and told in message
