"""Writes that a killed cloud acknowledged after its last snapshot are there again."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local.daemon import client as daemon
from stacks.local.daemon import state_files
from stacks.local.keeping.folder import data_folder, wait
from stacks.local.keeping.journal import Journal
from stacks.local.runtime import files, keys
from tests.conftest import ROOT
from tests.kits.executions import function
from tests.kits.local_cloud import WRITTEN_SECONDS, Cloud, kill, running_cloud
from tests.kits.path import python
from tests.stacks.local.test_keeping_live import GROUP, put_record


def record(identifier: str, at: float) -> list[dict[str, str]]:
    values = {"id": identifier, "at": f"{at}"}
    return [{"FeatureName": name, "ValueAsString": value} for name, value in values.items()]


def test_no_record_and_no_item_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        put_record(cloud)
        dynamodb = cloud.client("dynamodb")
        dynamodb.create_table(
            TableName="kept", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        assert wait(cloud.home, WRITTEN_SECONDS)
        features = cloud.client("sagemaker-featurestore-runtime")
        for number in range(20):
            features.put_record(**GROUP, Record=record(f"late-{number}", number))
            counted = dynamodb.update_item(
                TableName="kept", Key={"id": {"S": "one"}}, UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW",
            )  # fmt: skip
        features.delete_record(**GROUP, RecordIdentifierValueAsString="late-0", EventTime="99")
        assert counted["Attributes"]["n"]["N"] == "20"
        kill(cloud)

        again = Cloud(home=cloud.home, info=daemon.start(cloud.home))
        features = again.client("sagemaker-featurestore-runtime")
        names = features.list_records(**GROUP, MaxResults=100)["RecordIdentifiers"]
        assert sorted(names) == sorted(["one", *(f"late-{n}" for n in range(1, 20))])
        found = again.client("dynamodb").get_item(TableName="kept", Key={"id": {"S": "one"}})
        assert found["Item"]["n"]["N"] == "20"
        assert any("writes of records and items" in note for note in again.info.notes)


WRITES = """
import boto3
def handler(event, context):
    for record in event["Records"]:
        derived = {"id": {"S": "of " + record["dynamodb"]["Keys"]["id"]["S"]}}
        boto3.client("dynamodb").put_item(TableName="derived", Item=derived)
"""


def test_a_write_that_calls_a_function_is_repeated_without_calling_it(tmp_path: Path) -> None:
    """The function writes to another table while the first write is under way."""

    def ids(cloud: Cloud, table: str) -> list[str]:
        found = cloud.client("dynamodb").scan(TableName=table)["Items"]
        return sorted(item["id"]["S"] for item in found)

    with running_cloud(tmp_path) as cloud:
        dynamodb = cloud.client("dynamodb")
        streams = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        for name, more in (("derived", {}), ("source", {"StreamSpecification": streams})):
            made = dynamodb.create_table(
                TableName=name, BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], **more,
            )["TableDescription"]  # fmt: skip
        cloud.client("lambda").create_event_source_mapping(
            EventSourceArn=made["LatestStreamArn"], StartingPosition="LATEST",
            FunctionName=function(cloud, "derive", WRITES),
        )  # fmt: skip
        assert wait(cloud.home, WRITTEN_SECONDS)
        dynamodb.put_item(TableName="source", Item={"id": {"S": "one"}})
        assert ids(cloud, "derived") == ["of one"]
        kill(cloud)
        again = Cloud(home=cloud.home, info=daemon.start(cloud.home))
        assert ids(again, "source") == ["one"]
        assert ids(again, "derived") == ["of one"]


class Asked:
    """An application that remembers what it was asked, and refuses where it is told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.status = "200 OK"

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        self.bodies.append(environ["plinth.body"])
        start(self.status, [])
        return [b""]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    data_folder(tmp_path).mkdir(parents=True)
    made = Journal(folder=data_folder(tmp_path), keys=keys.ensure(tmp_path))
    made.rotate()
    return made


def ask(application: Any, body: bytes, operation: str = "PutItem") -> None:
    scope = "Credential=AKIA/20260101/us-east-1/dynamodb/aws4_request"
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=ab12",
        "HTTP_X_AMZ_TARGET": f"DynamoDB_20120810.{operation}",
        "HTTP_X_AMZ_SECURITY_TOKEN": "token of a session",
        "plinth.body": body,
    }
    list(application(environ, lambda *_: None))


def repeated(journal: Journal, since: int) -> list[bytes]:
    asked = Asked()
    journal.around(asked)
    journal.repeat(since)
    return asked.bodies


def test_what_was_refused_or_only_read_is_not_repeated(journal: Journal) -> None:
    asked = Asked()
    application = journal.around(asked)
    ask(application, b"taken")
    ask(application, b"read", "GetItem")
    asked.status = "400 Bad Request"
    ask(application, b"refused")
    assert len(asked.bodies) == 3
    assert repeated(journal, 0) == [b"taken"]


def test_what_a_snapshot_holds_is_not_repeated_and_goes(journal: Journal) -> None:
    application = journal.around(Asked())
    ask(application, b"before")
    number = journal.rotate()
    ask(application, b"after")
    assert repeated(journal, number) == [b"after"]
    assert repeated(journal, 0) == [b"before", b"after"]
    journal.forget(number)
    assert repeated(journal, 0) == [b"after"]


def test_a_line_that_is_cut_off_or_altered_is_left_out(journal: Journal) -> None:
    application = journal.around(Asked())
    ask(application, b"first")
    ask(application, b"second")
    (path,) = journal.folder.glob("*.journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0].replace(b"PutItem", b"DeleteItem") + lines[1] + lines[1][:40])
    assert repeated(journal, 0) == [b"second"]


def test_no_signature_and_no_token_is_put_down(journal: Journal) -> None:
    ask(journal.around(Asked()), b"{}")
    (path,) = journal.folder.glob("*.journal")
    written = path.read_text()
    assert "PutItem" in written
    assert "ab12" not in written and "token of a session" not in written
    assert path.stat().st_mode & 0o077 == 0


DELETES = """
import os, signal, sys
from tests.kits.fake_backend import engine_at

port, cloud, urn, work = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
inputs = {"name": "plinth-late"}
with engine_at(port) as engine:
    if work == "create":
        print(engine.create(inputs, urn=urn).id)
    else:
        engine.delete(sys.argv[5], inputs, urn=urn)
        os.kill(cloud, signal.SIGKILL)
"""
"""An engine of the owner of the home; the cloud is killed at once when it has heard."""

QUEUE = "urn:pulumi:local.a::plinth::aws:sqs/queue:Queue::late"


@pytest.mark.parametrize(
    "resources", [[], [{"pendingReplacement": True}]], ids=("gone", "replaced")
)
def test_what_an_engine_heard_to_be_deleted_does_not_come_back(
    tmp_path: Path, resources: list[dict[str, Any]]
) -> None:
    """Also where the state has it as the old half of a replacement that deleted it first."""
    with running_cloud(tmp_path) as cloud:
        owner = {**os.environ, keys.SECRET_VARIABLE: keys.load(cloud.home).secret_access_key}
        to = (str(cloud.info.provider_port), str(cloud.info.pid), QUEUE)
        made = python(DELETES, *to, "create", cwd=ROOT, env=owner)
        assert "plinth-late" in made.stdout, made.stderr
        assert wait(cloud.home, WRITTEN_SECONDS)
        done = python(DELETES, *to, "delete", made.stdout.strip(), cwd=ROOT, env=owner)
        assert done.returncode == 0, done.stderr
        psutil.wait_procs([psutil.Process(cloud.info.pid)], timeout=60)
        queue = {"urn": QUEUE, "id": made.stdout.strip(), "type": QUEUE.split("::")[2]}
        latest = {"resources": [{**queue, "custom": True, **one} for one in resources]}
        state = {"version": 3, "checkpoint": {"stack": "local.a", "latest": latest}}
        files.write_json(state_files.checkpoint(cloud.home, "local.a"), state)
        assert bool(state_files.latest(cloud.home, "local.a")["resources"]) == bool(resources)

        again = Cloud(home=cloud.home, info=daemon.start(cloud.home))
        assert "QueueUrls" not in again.client("sqs").list_queues()
        assert "1 later deletions are done again" in again.info.notes


def test_what_a_full_disk_took_of_a_write_takes_no_other_write_with_it(tmp_path: Path) -> None:
    own = keys.ensure(tmp_path / "home")
    folder = tmp_path / "journal"
    folder.mkdir()
    journal = Journal(folder=folder, keys=own)
    number = journal.rotate()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal.deleted("urn:1", "one")
    room = (folder / f"{number:09}.journal").stat().st_size + 20
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        journal.deleted("urn:2", "cut off")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    journal.deleted("urn:3", "three")
    assert journal.gone(number) == [("urn:1", "one"), ("urn:3", "three")]
