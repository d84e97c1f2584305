"""What the next cloud makes of a killed one: what served serves, what ran has failed."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from stacks.local.daemon import client as daemon
from stacks.local.keeping import folder
from tests.kits.endpoints import configure, invoke, put_artifact, serve, serve_program, settled
from tests.kits.executions import create, ended, shell, start, steps_of
from tests.kits.local_cloud import (
    BUCKET,
    ROLE,
    Cloud,
    create_processing,
    kill,
    killed_cloud,
    running_cloud,
    train,
)
from tests.kits.path import wait_until

ENDED = "the local cloud ended meanwhile"
GROUP = {"FeatureGroupName": "kept"}


def put_record(cloud: Cloud) -> None:
    features = [
        {"FeatureName": name, "FeatureType": kind}
        for name, kind in (("id", "String"), ("at", "Fractional"))
    ]
    cloud.client("sagemaker").create_feature_group(
        **GROUP, RecordIdentifierFeatureName="id", EventTimeFeatureName="at",
        FeatureDefinitions=features, OnlineStoreConfig={"EnableOnlineStore": True}, RoleArn=ROLE,
    )  # fmt: skip
    record = [{"FeatureName": n, "ValueAsString": v} for n, v in (("id", "one"), ("at", "1.5"))]
    cloud.client("sagemaker-featurestore-runtime").put_record(**GROUP, Record=record)


def run_machine(cloud: Cloud, machine: str, seconds: int) -> str:
    started = cloud.client("stepfunctions").start_execution(
        stateMachineArn=machine, input=json.dumps({"seconds": seconds})
    )
    return str(started["executionArn"])


def begin(cloud: Cloud, programs: Any) -> Mapping[str, Any]:
    """Something of everything that lives, under way where it can be."""
    sm, session = cloud.client("sagemaker"), cloud.client("sts")
    configure(sm, "kept", serve_program(programs), put_artifact(cloud.client("s3")), kept=1.0)
    serve(sm, "kept", "kept")
    put_record(cloud)
    queue = cloud.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    cloud.client("sqs").send_message(QueueUrl=queue, MessageBody="a message")
    train(sm, "trained", "print('auc=0.75')")
    create_processing(sm, "running", "import time; time.sleep(600)")
    create(sm, "kept", shell("A", "true"), shell("B", "sleep 600", DependsOn=["A"]))
    execution = start(sm, "kept")
    wait_until(lambda: steps_of(sm, execution).get("B", {}).get("StepStatus") == "Executing")
    wait = {"Type": "Wait", "SecondsPath": "$.seconds", "End": True}
    machine = cloud.client("stepfunctions").create_state_machine(
        name="kept", roleArn=ROLE, definition=json.dumps({"StartAt": "W", "States": {"W": wait}})
    )["stateMachineArn"]
    waiting = run_machine(cloud, machine, seconds=600)
    keys = session.assume_role(RoleArn=ROLE, RoleSessionName="kept")["Credentials"]
    sm.create_project(ProjectName="kept")
    domain = sm.create_domain(DomainName="kept", AuthMode="IAM", DefaultUserSettings={})
    return {
        "queue": queue, "execution": execution, "keys": keys, "domain": domain["DomainId"],
        "machine": machine, "waiting": waiting,
    }  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Mapping[str, Any]]]:
    with running_cloud(tmp_path_factory.mktemp("home")) as cloud:
        made = begin(cloud, tmp_path_factory.mktemp("bin"))
        yield killed_cloud(cloud), made


def test_an_execution_of_a_state_machine_has_failed_and_another_runs(
    both: tuple[Cloud, Mapping[str, Any]],
) -> None:
    cloud, made = both
    states = cloud.client("stepfunctions")
    found = states.describe_execution(executionArn=made["waiting"])
    assert (found["status"], found["cause"]) == ("FAILED", ENDED)
    again = run_machine(cloud, made["machine"], seconds=0)
    wait_until(lambda: states.describe_execution(executionArn=again)["status"] != "RUNNING")
    assert states.describe_execution(executionArn=again)["status"] == "SUCCEEDED"


def test_an_endpoint_serves_again(both: tuple[Cloud, Mapping[str, Any]]) -> None:
    cloud, _ = both
    found = settled(cloud.client("sagemaker"), "kept")
    assert found["EndpointStatus"] == "InService" and "FailureReason" not in found
    assert invoke(cloud, "kept", "row")[0].endswith("row|text/csv")


def test_jobs_that_ran_have_failed_and_those_before_are_as_they_were(
    both: tuple[Cloud, Mapping[str, Any]],
) -> None:
    sm = both[0].client("sagemaker")
    job = sm.describe_processing_job(ProcessingJobName="running")
    assert job["ProcessingJobStatus"] == "Failed" and ENDED in job["FailureReason"]
    trained = sm.describe_training_job(TrainingJobName="trained")
    assert trained["TrainingJobStatus"] == "Completed"
    assert trained["FinalMetricDataList"][0]["Value"] == 0.75


def test_an_execution_has_failed_and_goes_on_by_a_retry(
    both: tuple[Cloud, Mapping[str, Any]],
) -> None:
    (cloud, made), arn = both, both[1]["execution"]
    sm = cloud.client("sagemaker")
    found = sm.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert found["PipelineExecutionStatus"] == "Failed" and ENDED in found["FailureReason"]
    before = steps_of(sm, made["execution"])
    assert before["A"]["StepStatus"] == "Succeeded" and before["B"]["StepStatus"] == "Failed"
    sm.retry_pipeline_execution(PipelineExecutionArn=arn)
    wait_until(lambda: steps_of(sm, arn).get("B", {}).get("StepStatus") == "Executing")
    assert steps_of(sm, arn)["A"] == before["A"], "it did not run again"
    sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(sm, arn)["PipelineExecutionStatus"] == "Stopped"


def test_records_messages_and_sessions_are_there(both: tuple[Cloud, Mapping[str, Any]]) -> None:
    cloud, made = both
    runtime = cloud.client("sagemaker-featurestore-runtime")
    record = runtime.get_record(**GROUP, RecordIdentifierValueAsString="one")["Record"]
    assert {one["FeatureName"]: one["ValueAsString"] for one in record} == {
        "id": "one",
        "at": "1.5",
    }
    [message] = cloud.client("sqs").receive_message(QueueUrl=made["queue"])["Messages"]
    assert message["Body"] == "a message"
    keys = made["keys"]
    caller = boto3.client(
        "sts", endpoint_url=cloud.info.endpoint_url, region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    ).get_caller_identity()  # fmt: skip
    assert caller["Arn"].endswith("plinth-test/kept")


def test_what_moves_by_the_clock_moves_on(both: tuple[Cloud, Mapping[str, Any]]) -> None:
    cloud, made = both
    sm = cloud.client("sagemaker")

    def is_done() -> bool:
        project = sm.describe_project(ProjectName="kept")["ProjectStatus"]
        domain = sm.describe_domain(DomainId=made["domain"])["Status"]
        return (project, domain) == ("CreateCompleted", "InService")

    wait_until(is_done)
    home = sm.describe_domain(DomainId=made["domain"])["HomeEfsFileSystemId"]
    (system,) = cloud.client("efs").describe_file_systems(FileSystemId=home)["FileSystems"]
    assert {
        "Key": "ManagedByAmazonSageMakerResource",
        "Value": sm.describe_domain(DomainId=made["domain"])["DomainArn"],
    } in system["Tags"]


def test_what_was_being_written_is_lost_and_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_cloud(tmp_path_factory.mktemp("home")) as cloud:
        assert folder.wait(cloud.home, 30)
        cloud.client("sqs").create_queue(QueueName="lost")
        kill(cloud)
        port = int(cloud.info.endpoint_url.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            after = Cloud(home=cloud.home, info=daemon.start(cloud.home))
        assert "is lost" in after.info.notes[0] and "not free" in after.info.notes[1]
        assert "QueueUrls" not in after.client("sqs").list_queues()
        assert after.client("s3").list_buckets()["Buckets"][0]["Name"] == BUCKET


def test_a_cloud_that_is_told_to_end_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_cloud(tmp_path_factory.mktemp("home")) as cloud:
        cloud.client("sqs").create_queue(QueueName="kept")
        daemon.stop(cloud.home)
        after = Cloud(home=cloud.home, info=daemon.start(cloud.home))
        assert after.info.endpoint_url == cloud.info.endpoint_url
        assert "has its data" in after.info.notes[0]
        assert len(after.client("sqs").list_queues()["QueueUrls"]) == 1
        idle = folder.data_folder(cloud.home)
        before = sorted(path.name for path in idle.glob("*.snapshot"))
        time.sleep(2)  # nothing changes, and nothing is written
        assert sorted(path.name for path in idle.glob("*.snapshot")) == before
