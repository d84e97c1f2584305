"""Training and processing jobs of several instances: a container each, which find each other."""

import io
import json
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stacks.local.runtime import hosts
from tests.kits.executions import create, execute, shell
from tests.kits.local_cloud import BUCKET, Cloud, process, refusal, train

THREE = {"InstanceCount": 3, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
TWO = {**THREE, "InstanceCount": 2}
OUT = {
    "OutputName": "out",
    "S3Output": {
        "S3Uri": f"s3://{BUCKET}/several",
        "LocalPath": "/opt/ml/processing/out",
        "S3UploadMode": "EndOfJob",
    },
}
GREET = """
import json, os, socket, time
told = json.load(open('/opt/ml/config/resourceconfig.json'))
me, all_of_us = told['current_host'], told['hosts']
mine = socket.create_server((me, 5005))
other = all_of_us[(all_of_us.index(me) + 1) % len(all_of_us)]
for _ in range(600):
    try:
        there = socket.create_connection((other, 5005))
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
there.sendall(me.encode())
there.shutdown(socket.SHUT_WR)
heard = mine.accept()[0].recv(99).decode()
shard = sorted(os.listdir('/opt/ml/processing/shard'))
json.dump([heard, shard, sorted(os.listdir('/opt/ml/processing/all'))],
          open('/opt/ml/processing/out/' + me, 'w'))
print('I am', me)
"""


def source(name: str, distribution: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": f"s3://{BUCKET}/parts/",
            "LocalPath": f"/opt/ml/processing/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": distribution,
        },
    }


@pytest.fixture(scope="module", autouse=True)
def parts(cloud: Cloud) -> None:
    for name in "abcd":
        cloud.client("s3").put_object(Bucket=BUCKET, Key=f"parts/{name}", Body=b"1")


def test_containers_of_a_processing_job_find_each_other_and_share_what_is_sharded(
    cloud: Cloud, sm: Any
) -> None:
    told = process(
        sm, "several", GREET,
        ProcessingResources={"ClusterConfig": THREE},
        ProcessingInputs=[source("shard", "ShardedByS3Key"), source("all", "FullyReplicated")],
        ProcessingOutputConfig={"Outputs": [OUT]},
    )  # fmt: skip
    assert told["ProcessingJobStatus"] == "Completed", told.get("FailureReason")
    s3, found = cloud.client("s3"), {}
    for host in ("algo-1", "algo-2", "algo-3"):
        body = s3.get_object(Bucket=BUCKET, Key=f"several/{host}")["Body"].read()
        found[host] = json.loads(body)
    assert {host: heard for host, (heard, _, _) in found.items()} == {
        "algo-1": "algo-3", "algo-2": "algo-1", "algo-3": "algo-2",
    }  # fmt: skip
    assert sorted(name for _, shard, _ in found.values() for name in shard) == [*"abcd"]
    assert all(shard for _, shard, _ in found.values())
    assert [everything for _, _, everything in found.values()] == [[*"abcd"]] * 3
    logs = cloud.client("logs")
    group = {"logGroupName": "/aws/sagemaker/ProcessingJobs"}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix="several/")["logStreams"]
    printed = {
        stream["logStreamName"].partition("/")[2][:6]: [
            event["message"]
            for event in logs.get_log_events(**group, logStreamName=stream["logStreamName"])[
                "events"
            ]
        ]
        for stream in streams
    }
    assert printed == {host: [f"I am {host}"] for host in found}


def test_what_containers_of_a_training_job_leave_is_one_model(cloud: Cloud, sm: Any) -> None:
    code = (
        "import json; me = json.load(open('/opt/ml/input/config/resourceconfig.json'))"
        "['current_host']; open('/opt/ml/model/' + me, 'w').write(me)\n"
        "print('auc=0.' + me[-1])"
    )
    told = train(sm, "two", code, ResourceConfig=TWO)
    assert told["TrainingJobStatus"] == "Completed", told.get("FailureReason")
    key = told["ModelArtifacts"]["S3ModelArtifacts"].partition(f"{BUCKET}/")[2]
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert sorted(archive.getnames()) == ["algo-1", "algo-2"]
    assert [one["Value"] for one in told["FinalMetricDataList"]] == [pytest.approx(0.1)]


def test_one_that_fails_stops_the_others_and_is_told(sm: Any) -> None:
    code = (
        "import json, sys, time; me = json.load(open('/opt/ml/input/config/resourceconfig.json'))"
        "['current_host']\nif me == 'algo-2': sys.exit('the second broke')\ntime.sleep(600)"
    )
    told = train(sm, "one-fails", code, ResourceConfig=TWO)
    assert told["TrainingJobStatus"] == "Failed"
    assert "the second broke" in told["FailureReason"]


def test_a_pipeline_step_of_two_instances_runs(sm: Any) -> None:
    step = shell(
        "A", 'grep -q algo-2 /etc/hosts && getent hosts algo-2 | grep -q "^127.0.0.3 "',
        Arguments={"ProcessingResources": {"ClusterConfig": TWO}},
    )  # fmt: skip
    create(sm, "two-instances", step)
    assert execute(sm, "two-instances")["PipelineExecutionStatus"] == "Succeeded"


def test_several_without_a_network_are_refused_by_name(sm: Any) -> None:
    code, message, _ = refusal(
        train, sm=sm, name="no", code="pass", ResourceConfig=TWO, EnableNetworkIsolation=True
    )
    assert code == "NotEmulated" and "they cannot reach each other" in message
    groups = [{"InstanceType": "ml.m5.large", "InstanceCount": 2, "InstanceGroupName": "g"}]
    cluster = {"VolumeSizeInGB": 5, "InstanceGroups": groups}
    code, message, _ = refusal(train, sm=sm, name="no", code="pass", ResourceConfig=cluster)
    assert code == "NotEmulated" and "instance groups" in message


@dataclass
class End:
    status: str


def ending(status: str) -> Callable[[str, threading.Event], End]:
    """The first part ends so; the others only when they are to."""

    def run(part: str, halt: threading.Event) -> End:
        if part == "algo-1":
            return End(status)
        assert halt.wait(60)
        return End("Stopped")

    return run


def test_the_failure_of_one_is_that_of_all() -> None:
    found = hosts.together(hosts.names(3), ending("Failed"), threading.Event())
    assert found == End("Failed")


def test_a_stop_request_reaches_every_one() -> None:
    stopping = threading.Event()

    def run(part: str, halt: threading.Event) -> End:
        if part == "algo-2":
            stopping.set()
        assert halt.wait(60)
        return End("Stopped")

    assert hosts.together(hosts.names(2), run, stopping) == End("Stopped")
