"""What happens by itself is done as a role: schedules that come due, functions that events call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stacks.local.aws.iam.trace import read
from stacks.local.daemon.deciding import IAM_TRACE
from tests.kits.deliveries import let_invoke, open_queue
from tests.kits.grants import Grants, Removal, noticed, report
from tests.kits.local_cloud import Cloud, running_cloud, trusted_role
from tests.kits.path import wait_until
from tests.stacks.local.test_streams import archive

ACCOUNT = "123456789012"
QUEUES = ("target", "letters", "given-up")
FAILS = "def handler(event, context):\n    raise ValueError('no')\n"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(IAM_TRACE, str(folder / "trace.jsonl"))
        with running_cloud(folder) as running:
            for name in QUEUES:
                running.client("sqs").create_queue(QueueName=name)
            yield running


def queue(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def message(cloud: Cloud, name: str) -> Any:
    """What comes to a queue next."""
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def taken() -> Any:
        found = sqs.receive_message(QueueUrl=url).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return found

    return json.loads(wait_until(taken)[0]["Body"])


def schedule(cloud: Cloud, name: str, role: str, **more: Any) -> None:
    """A schedule that comes due in a moment."""
    due = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
    target = {
        "Arn": queue("target"),
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
        "Input": json.dumps({"id": "<aws.scheduler.execution-id>", "name": name}),
        "DeadLetterConfig": {"Arn": queue("letters")},
    }
    expression = {"ScheduleExpression": f"at({due})", "Target": target}
    cloud.client("scheduler").create_schedule(
        Name=name, FlexibleTimeWindow={"Mode": "OFF"}, **{**expression, **more}
    )


def test_a_schedule_calls_its_target_as_its_role(cloud: Cloud) -> None:
    trusted_role(cloud.client("iam"), "sends", Action="sqs:SendMessage", Resource=queue("target"))
    schedule(cloud, "due", "sends")
    schedule(cloud, "off", "sends", State="DISABLED")
    said = message(cloud, "target")
    assert said["name"] == "due"
    assert len(said["id"]) == 36


EVERY_MINUTE = "cron(* * * * ? *)"


def test_crons_of_schedules_and_rules_come_due_with_the_minute(cloud: Cloud) -> None:
    trusted_role(cloud.client("iam"), "minutely", Action="sqs:SendMessage")
    schedule(cloud, "minutely", "minutely", ScheduleExpression=EVERY_MINUTE)
    events, sqs = cloud.client("events"), cloud.client("sqs")
    ticks = open_queue(sqs, "ticks")
    rule = events.put_rule(Name="minutely", ScheduleExpression=EVERY_MINUTE)["RuleArn"]
    events.put_rule(Name="off", ScheduleExpression=EVERY_MINUTE, State="DISABLED")
    for name in ("minutely", "off"):
        events.put_targets(Rule=name, Targets=[{"Id": "ticks", "Arn": queue("ticks")}])
    # a rule that has a schedule alone gets no other event
    entry = {"Source": "tests", "DetailType": "Another", "Detail": "{}"}
    events.put_events(Entries=[entry])
    heard = message(cloud, "ticks")
    assert (heard["source"], heard["detail-type"]) == ("aws.events", "Scheduled Event")
    assert (heard["resources"], heard["detail"]) == ([rule], {})
    assert message(cloud, "target")["name"] == "minutely"
    cloud.client("scheduler").delete_schedule(Name="minutely")
    assert (
        sqs.get_queue_attributes(QueueUrl=ticks, AttributeNames=["All"])["Attributes"][
            "ApproximateNumberOfMessages"
        ]
        == "0"
    )


def test_what_a_role_may_not_do_goes_to_the_dead_letters(cloud: Cloud) -> None:
    trusted_role(cloud.client("iam"), "buries", Action="sqs:*", Resource=queue("letters"))
    schedule(cloud, "denied", "buries")
    assert message(cloud, "letters")["name"] == "denied"


def function(cloud: Cloud, name: str, role: Mapping[str, Any], **more: Any) -> str:
    trusted_role(cloud.client("iam"), name, **role)
    made = cloud.client("lambda").create_function(
        FunctionName=name, Role=f"arn:aws:iam::{ACCOUNT}:role/{name}", Runtime="python3.13",
        Handler="main.handler", Code={"ZipFile": archive(FAILS)}, **more,
    )  # fmt: skip
    return str(made["FunctionArn"])


def test_what_a_function_fails_on_goes_where_its_role_may_send_it(cloud: Cloud) -> None:
    """The rounds of the cloud once ended at a function that was configured so."""
    functions, events = cloud.client("lambda"), cloud.client("events")
    for name, role in {
        "may-not": {"Action": "s3:*"},
        "may": {"Action": "sqs:SendMessage", "Resource": queue("given-up")},
    }.items():
        arn = function(cloud, name, role)
        functions.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": queue("given-up")}},
        )  # fmt: skip
        let_invoke(functions, name, "events.amazonaws.com")
        pattern = {"source": ["ours"], "detail-type": [name]}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "f", "Arn": arn}])
        entry = {"Source": "ours", "DetailType": name, "Detail": "{}"}
        events.put_events(Entries=[entry])
    assert message(cloud, "given-up")["requestContext"]["functionArn"].endswith(":may:$LATEST")


def test_a_function_needs_the_key_of_its_environment(cloud: Cloud) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    function(
        cloud, "closed", {"Action": "s3:*"},
        KMSKeyArn=key, Environment={"Variables": {"A": "b"}},
    )  # fmt: skip
    answer = cloud.client("lambda").invoke(FunctionName="closed")["Payload"].read().decode()
    assert "Lambda was unable to decrypt the environment variables" in answer
    assert "kms:Decrypt" in answer


def test_a_trace_says_which_grants_nobody_would_miss(cloud: Cloud) -> None:
    """Over what the tests before did: one grant is noticed, the rest is not, one is explained."""
    trace = cloud.home / "trace.jsonl"
    statement = {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:PurgeQueue"]}
    text = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": queue("target")}]}
    trusted_role(cloud.client("iam"), "traced", **statement, Resource=queue("target"))
    schedule(cloud, "traced", "traced")
    assert message(cloud, "target")["name"] == "traced"
    found = noticed(read(trace))
    grants = Grants(documents={("traced", "own"): text})
    one = Removal(role="traced", policy="own", statement=0)
    assert {str(key) for key in found.by if key.role == "traced"} == {
        "traced own *",
        "traced own[0] *",
        "traced own[0] sqs:SendMessage",
    }
    assert found.by[one].request.resource == queue("target")
    said = report(grants, found, [], step_at=lambda _: "now")
    assert [str(row.removal) for row in said.unexplained] == ["traced own[0] sqs:PurgeQueue"]
    assert said.counts()["actions"] == {"removed": 2, "noticed": 1, "explained": 0}
    assert not said.holds
