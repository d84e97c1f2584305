"""Batch transform jobs of the local cloud: real containers, asked as SageMaker asks them."""

import gzip
import json
import struct
import time
from typing import Any

import pytest

from tests.conftest import HANGS_SECONDS
from tests.kits.deliveries import open_queue
from tests.kits.local_cloud import (
    BUCKET,
    ROLE,
    Cloud,
    left_of,
    refusal,
    trusted_role,
)
from tests.kits.transform import Transforms, request


@pytest.fixture(scope="module")
def jobs(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Transforms:
    return Transforms(cloud=cloud, folder=tmp_path_factory.mktemp("bin"))


def test_every_object_is_answered_under_its_own_name(jobs: Transforms) -> None:
    jobs.put("names", {"a.csv": b"1,2\n3,4\n", "deep/b.csv": b"5,6\n", "folder/": b""})
    job = jobs.run("names", jobs.model("names"), Tags=[{"Key": "team", "Value": "a"}])
    assert job["TransformJobStatus"] == "Completed", job
    assert jobs.outputs("names") == {"a.csv.out": b"3.0\n7.0\n", "deep/b.csv.out": b"11.0\n"}
    assert job["TransformJobArn"].endswith(":transform-job/names")
    assert job["TransformStartTime"] <= job["TransformEndTime"]
    assert job["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    assert job["TransformInput"]["CompressionType"] == "None"
    assert jobs.sm.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == [
        {"Key": "team", "Value": "a"}
    ]
    listed = jobs.sm.list_transform_jobs(NameContains="names", StatusEquals="Completed")
    (summary,) = listed["TransformJobSummaries"]
    assert (summary["TransformJobName"], summary["TransformJobStatus"]) == ("names", "Completed")
    assert jobs.printed("names", "asked") == [
        ["1,2\n3,4\n", "text/csv", "text/csv", None],
        ["5,6\n", "text/csv", "text/csv", None],
    ]


def test_a_job_is_a_component_between_its_data_and_its_results(jobs: Transforms) -> None:
    jobs.put("traced", {"a.csv": b"1,2\n"})
    jobs.sm.create_experiment(ExperimentName="scoring")
    config = {"ExperimentName": "scoring"}
    job = jobs.run("traced", jobs.model("traced"), ExperimentConfig=config)
    found = jobs.sm.list_trial_components(SourceArn=job["TransformJobArn"])
    (component,) = found["TrialComponentSummaries"]
    shown = jobs.sm.describe_trial_component(TrialComponentName=component["TrialComponentName"])
    assert shown["Status"]["PrimaryStatus"] == "Completed"
    assert shown["InputArtifacts"]["SageMaker.TransformInput"]["Value"].endswith("/traced/")
    assert shown["OutputArtifacts"]["SageMaker.TransformOutput"]["Value"].endswith("/traced-out")
    assert jobs.sm.list_trials(ExperimentName="scoring")["TrialSummaries"]


MEGABYTE = b"1," * (500_000) + b"1\n"


@pytest.mark.parametrize(
    ("strategy", "split", "sizes"),
    [
        ("MultiRecord", "Line", [2 * len(MEGABYTE), len(MEGABYTE)]),
        ("SingleRecord", "Line", [len(MEGABYTE) - 1] * 3),
        ("SingleRecord", "None", [3 * len(MEGABYTE)]),
    ],
)
def test_requests_are_as_large_as_strategy_split_and_payload_say(
    strategy: str, split: str, sizes: list[int], jobs: Transforms
) -> None:
    name = f"sizes-{strategy}-{split}".lower()
    jobs.put(name, {"rows.csv": MEGABYTE * 3})
    most = 2 if split == "Line" else 3
    job = jobs.run(
        name,
        jobs.model(name),
        BatchStrategy=strategy,
        MaxPayloadInMB=most,
        TransformInput={"SplitType": split},
    )
    assert job["TransformJobStatus"] == "Completed", job
    assert [asked[0] for asked in jobs.printed(name, "asked")] == sizes
    assert jobs.outputs(name)["rows.csv.out"] == b"500001.0\n" * 3


def test_too_large_a_record_fails_its_object_and_names_the_limit(jobs: Transforms) -> None:
    jobs.put("too-large", {"a.csv": b"1\n", "rows.csv": MEGABYTE * 2})
    whole = {"SplitType": "None"}
    job = jobs.run("too-large", jobs.model("too-large"), MaxPayloadInMB=1, TransformInput=whole)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: See job logs for more information")
    assert (
        f"{BUCKET}/too-large/rows.csv: Too much data for max payload size" in (job["FailureReason"])
    )
    assert jobs.outputs("too-large") == {"a.csv.out": b"1.0\n"}


def test_a_payload_without_a_limit_is_sent_in_chunks(jobs: Transforms) -> None:
    jobs.put("chunked", {"rows.csv": MEGABYTE * 2})
    job = jobs.run("chunked", jobs.model("chunked"), MaxPayloadInMB=0)
    assert job["TransformJobStatus"] == "Completed", job
    assert jobs.printed("chunked", "asked") == [
        [2 * len(MEGABYTE), "text/csv", "text/csv", "chunked"]
    ]


def test_a_bad_record_fails_the_job_and_spares_the_other_objects(jobs: Transforms) -> None:
    jobs.put("bad", {"a.csv": b"1\nbad\n2\n", "b.csv": b"3\n"})
    job = jobs.run("bad", jobs.model("bad"), BatchStrategy="SingleRecord")
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "ClientError: See job logs for more information\n"
        f"{BUCKET}/bad/a.csv: ClientError: 422\nMessage:\nno such row"
    )
    assert jobs.outputs("bad") == {"b.csv.out": b"3.0\n"}
    assert [asked[0] for asked in jobs.printed("bad", "asked")].count("bad") == 1
    logs, group = jobs.cloud.client("logs"), "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="bad/")
    names = [stream["logStreamName"] for stream in streams["logStreams"]]
    assert [name.startswith("bad/i-") for name in names] == [True, True]
    (data_log,) = [name for name in names if name.endswith("/data-log")]
    events = logs.get_log_events(logGroupName=group, logStreamName=data_log, startFromHead=True)
    messages = [event["message"].partition("[sagemaker logs]: ")[2] for event in events["events"]]
    assert messages == [
        "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD",
        f"{BUCKET}/bad/a.csv: ClientError: 422",
        f"{BUCKET}/bad/a.csv: Message:",
        f"{BUCKET}/bad/a.csv: no such row",
    ]


@pytest.mark.parametrize(("refuses", "status"), [("2", "Completed"), ("3", "Failed")])
def test_what_fails_on_the_container_s_side_is_asked_again(
    refuses: str, status: str, jobs: Transforms
) -> None:
    name = f"again-{refuses}"
    jobs.put(name, {"a.csv": b"1\n"})
    config = {"InvocationsMaxRetries": 2}
    job = jobs.run(name, jobs.model(name, REFUSES=refuses), ModelClientConfig=config)
    assert job["TransformJobStatus"] == status
    assert len(jobs.printed(name, "asked")) == 3
    if status == "Failed":
        assert job["FailureReason"].startswith("AlgorithmError: See job logs")
        assert "Bad HTTP status received from algorithm: 503" in job["FailureReason"]


def test_an_answer_that_does_not_come_in_time_is_a_failure(jobs: Transforms) -> None:
    jobs.put("late", {"a.csv": b"1\n"})
    config = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    job = jobs.run("late", jobs.model("late", SECONDS="600"), ModelClientConfig=config)
    assert job["TransformJobStatus"] == "Failed"
    assert "Unable to get response from algorithm" in job["FailureReason"]


def test_a_container_that_ends_ends_its_job(jobs: Transforms) -> None:
    jobs.put("ends", {"a.csv": b"1\n", "b.csv": b"die\n", "c.csv": b"2\n"})
    job = jobs.run("ends", jobs.model("ends"))
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: the container ended")
    assert jobs.outputs("ends") == {}


def test_rules_hear_how_a_job_ended(jobs: Transforms) -> None:
    """Through a topic to a queue; the cloud tells events once a second."""
    events, sns = jobs.cloud.client("events"), jobs.cloud.client("sns")
    sqs = jobs.cloud.client("sqs")
    topic = sns.create_topic(Name="transforms")["TopicArn"]
    queue = open_queue(sqs, "transforms")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
               "Action": "sns:Publish", "Resource": topic}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    told = {"detail-type": ["SageMaker Transform Job State Change"],
            "detail": {"TransformJobStatus": ["Completed", "Failed"]}}  # fmt: skip
    events.put_rule(Name="transforms", EventPattern=json.dumps(told))
    events.put_targets(Rule="transforms", Targets=[{"Id": "topic", "Arn": topic}])
    jobs.put("told", {"a.csv": b"1\n"})
    jobs.run("told", jobs.model("told"))
    deadline = time.monotonic() + HANGS_SECONDS
    heard: dict[str, str] = {}
    while "told" not in heard:
        assert time.monotonic() < deadline, heard
        found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        details = [json.loads(json.loads(m["Body"])["Message"])["detail"] for m in found]
        heard |= {one["TransformJobName"]: one["TransformJobStatus"] for one in details}
    assert heard["told"] == "Completed"


def test_a_stopped_job_stores_nothing_and_leaves_no_process(jobs: Transforms) -> None:
    jobs.put("stopped", {"a.csv": b"1\n", "b.csv": b"2\n"})
    jobs.sm.create_transform_job(**request("stopped", jobs.model("stopped", SECONDS="600")))
    deadline = time.monotonic() + HANGS_SECONDS
    log = jobs.cloud.home / "local/transforms/stopped/log.txt"
    while not log.exists() or "asked" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    jobs.sm.stop_transform_job(TransformJobName="stopped")
    job = jobs.ended("stopped")
    assert job["TransformJobStatus"] == "Stopped" and "FailureReason" not in job
    assert jobs.outputs("stopped") == {}
    assert [line for line in left_of(jobs.cloud.home) if "serve" in line] == []
    code, message, _ = refusal(jobs.sm.stop_transform_job, TransformJobName="stopped")
    assert code == "ValidationException"
    assert message.startswith("The request was rejected because the transform job is in status")


def test_request_container_and_defaults_decide_in_this_order(jobs: Transforms) -> None:
    wanted = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
    jobs.put("order", {"a.csv": b"1\n2\n3\n4\n5\n6\n"})
    made = jobs.model("order", WANTS=json.dumps(wanted), SECONDS="0.3", MARK="model", OF="model")
    job = jobs.run("order", made, MaxPayloadInMB=5, Environment={"SAGEMAKER_OF": "job"})
    assert job["TransformJobStatus"] == "Completed", job
    assert jobs.outputs("order") == {"a.csv.out": b"1.0\n2.0\n3.0\n4.0\n5.0\n6.0\n"}
    assert max(jobs.printed("order", "most")) == 3
    data_log = (jobs.cloud.home / "local/transforms/order/data-log.txt").read_text()
    assert "MaxConcurrentTransforms=3, MaxPayloadInMB=5, BatchStrategy=SINGLE_RECORD" in data_log
    (told,) = jobs.printed("order", "told")
    ours = ("PORT", "ADMIN_CONFIG", "MLFLOW")  # where this cloud answers, and how
    seen = {name: value for name, value in told.items() if not any(one in name for one in ours)}
    assert seen == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "5",
        "SAGEMAKER_OF": "job",
    }


def record_io(*payloads: bytes) -> bytes:
    return b"".join(
        struct.pack("<II", 0xCED7230A, len(payload)) + payload + b"\0" * (-len(payload) % 4)
        for payload in payloads
    )


@pytest.mark.parametrize(
    ("read", "content", "strategy", "asked"),
    [
        ({"CompressionType": "Gzip"}, gzip.compress(b"1\n2\n"), "MultiRecord", ["1\n2\n"]),
        ({"SplitType": "RecordIO"}, record_io(b"1,2", b"34567"), "SingleRecord", ["1,2", "34567"]),
        (
            {"SplitType": "RecordIO"},
            record_io(b"1,2", b"34567"),
            "MultiRecord",
            [record_io(b"1,2", b"34567").decode("latin-1")],
        ),
        (
            {"SplitType": "TFRecord"},
            b"".join(struct.pack("<QI", len(p), 0) + p + b"\0" * 4 for p in (b"1", b"22")),
            "SingleRecord",
            ["1", "22"],
        ),
    ],
    ids=["gzip", "record-io", "record-io-whole", "tf-record"],
)
def test_compressed_and_binary_objects_are_read(
    read: dict[str, str], content: bytes, strategy: str, asked: list[str], jobs: Transforms
) -> None:
    name = f"reads-{strategy}-{'-'.join(read.values())}".lower()
    jobs.put(name, {"rows": content})
    made = jobs.model(name, SAYS="once")
    job = jobs.run(name, made, BatchStrategy=strategy, TransformInput=read)
    assert job["TransformJobStatus"] == "Completed", job
    assert [one[0] for one in jobs.printed(name, "asked")] == asked
    assert list(jobs.outputs(name)) == ["rows.out"]


def test_a_manifest_names_the_objects(jobs: Transforms) -> None:
    jobs.put("some", {"x/1.csv": b"1\n", "x/2.csv": b"2\n", "x/3.csv": b"3\n"})
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/some/"}, "x/1.csv", "x/3.csv"])
    jobs.put("listed", {"list.manifest": manifest.encode()})
    place = {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/listed/list.manifest"}
    job = jobs.run(
        "listed",
        jobs.model("listed"),
        TransformInput={"DataSource": {"S3DataSource": place}},
    )
    assert job["TransformJobStatus"] == "Completed", job
    assert jobs.outputs("listed") == {"x/1.csv.out": b"1.0\n", "x/3.csv.out": b"3.0\n"}


def test_inputs_are_filtered_joined_and_filtered_again_as_csv(jobs: Transforms) -> None:
    jobs.put("joins", {"a.csv": b'"id, 1",1,2\n"id, 2",3,4\n'})
    job = jobs.run(
        "joins",
        jobs.model("joins"),
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    )
    assert job["TransformJobStatus"] == "Completed", job
    assert [asked[0] for asked in jobs.printed("joins", "asked")] == ["1,2\n3,4\n"]
    assert jobs.outputs("joins") == {"a.csv.out": b'"id, 1",3.0\n"id, 2",7.0\n'}


def test_json_lines_are_filtered_and_joined(jobs: Transforms) -> None:
    rows = b'{"id": 1, "features": [1, 2]}\n{"id": 2, "features": [3]}\n'
    jobs.put("lines", {"a.jsonl": rows})
    job = jobs.run(
        "lines",
        jobs.model("lines", SAYS="json"),
        TransformInput={"ContentType": "application/jsonlines"},
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={
            "InputFilter": "$.features",
            "JoinSource": "Input",
            "OutputFilter": "$['id','SageMakerOutput']",
        },
    )
    assert job["TransformJobStatus"] == "Completed", job
    assert [json.loads(line) for line in jobs.outputs("lines")["a.jsonl.out"].splitlines()] == [
        {"id": 1, "SageMakerOutput": {"label": 3}},
        {"id": 2, "SageMakerOutput": {"label": 3}},
    ]
    assert [asked[0] for asked in jobs.printed("lines", "asked")] == ["[1, 2]\n[3]\n"]


def test_the_role_of_the_model_decides_what_the_job_may_read(jobs: Transforms) -> None:
    allowed = ["logs:*", "ecr:*", "s3:ListBucket"]
    trusted_role(jobs.cloud.client("iam"), "only-lists", Action=allowed)
    role = ROLE.replace(ROLE.rpartition("/")[2], "only-lists")
    jobs.put("denied", {"a.csv": b"1\n"})
    job = jobs.run("denied", jobs.model("denied", role=role))
    assert job["TransformJobStatus"] == "Failed"
    assert "denied/a.csv: ClientError: Data download failed" in job["FailureReason"]
    assert "AccessDenied" in job["FailureReason"] and "s3:GetObject" in job["FailureReason"]


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "model": ({"ModelName": "nobody"}, "ValidationException", "Could not find model"),
    "payload": ({"MaxPayloadInMB": 101}, "ValidationException", "must be at most 100"),
    "payloads": (
        {"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2},
        "ValidationException",
        "must be at most 100",
    ),
    "type": (
        {
            "TransformInput": {
                "DataSource": {
                    "S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/k"}
                }
            }
        },
        "ValidationException",
        "S3DataType must be S3Prefix or ManifestFile",
    ),
    "strategy": ({"BatchStrategy": "Some"}, "ValidationException", "SingleRecord"),
    "joins nothing": (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"Accept": "image/png"}},
        "ValidationException",
        "Accept must be text/csv, application/json or application/jsonlines",
    ),
    "joins two formats": (
        {
            "DataProcessing": {"JoinSource": "Input"},
            "TransformOutput": {"Accept": "application/json"},
        },
        "ValidationException",
        "ContentType and Accept must be of one format",
    ),
    "whole table": (
        {"DataProcessing": {"InputFilter": "$[1:]"}, "TransformInput": {"SplitType": "None"}},
        "ValidationException",
        "SplitType must be Line",
    ),
    "no lines": (
        {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"AssembleWith": "None"}},
        "ValidationException",
        "AssembleWith must be Line",
    ),
    "capture": (
        {"DataCaptureConfig": {"DestinationS3Uri": "s3://b/k"}},
        "NotEmulated",
        "CreateTransformJob with DataCaptureConfig is not emulated",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_sagemaker_refuses_is_refused(case: str, jobs: Transforms) -> None:
    more, code, text = WRONG[case]
    made = more.get("ModelName") or jobs.model(f"wrong-{case.replace(' ', '-')}")
    told = refusal(
        jobs.sm.create_transform_job, **{**request("wrong", made, **more), "ModelName": made}
    )
    assert told[0] == code and text in told[1]
    assert refusal(jobs.sm.describe_transform_job, TransformJobName="wrong")[1] == (
        "Could not find requested job with name: wrong"
    )


def test_a_filter_that_nobody_reads_fails_the_job_in_sagemaker_s_words(jobs: Transforms) -> None:
    jobs.put("filter", {"a.csv": b"1,2\n"})
    processing = {"JoinSource": "Input", "OutputFilter": "$[0:2,246:]"}
    job = jobs.run("filter", jobs.model("filter"), DataProcessing=processing)
    assert job["TransformJobStatus"] == "Failed"
    assert "Format [0:2,246:] is not supported" in job["FailureReason"]


def test_no_object_is_refused_and_a_name_is_taken_once(jobs: Transforms) -> None:
    model = jobs.model("nothing")
    code, told, _ = refusal(jobs.sm.create_transform_job, **request("nothing", model))
    assert code == "ValidationException"
    assert told.startswith(f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/" given in')
    assert f'"s3:ListBucket" permissions on bucket "{BUCKET}".' in told
    jobs.put("nothing", {"a.csv": b"1,2\n"})
    assert jobs.run("nothing", model)["TransformJobStatus"] == "Completed"
    code, _, _ = refusal(jobs.sm.create_transform_job, **request("nothing", model))
    assert code == "ResourceInUse"
