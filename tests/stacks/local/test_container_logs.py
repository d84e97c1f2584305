"""What containers print, read through CloudWatch Logs as the SDKs do for `logs=True`."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stacks.local.aws import container_logs
from stacks.local.aws.container_logs import ContainerLogs
from tests.conftest import HANGS_SECONDS
from tests.kits.endpoints import configure, put_artifact, serve_program, settled
from tests.kits.local_cloud import ROLE, Cloud, process, refusal, train, trusted_role


def printed(cloud: Cloud, group: str, prefix: str) -> list[str]:
    """As `logs_for_job` of the SDK: the streams of a job by prefix, then their events."""
    logs = cloud.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)
    (stream,) = streams["logStreams"]
    events = logs.get_log_events(
        logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
    )
    return [event["message"] for event in events["events"]]


def test_a_job_s_log_is_whole_as_soon_as_it_is_over(cloud: Cloud) -> None:
    sm = cloud.client("sagemaker")
    code = "print('first'); print('naïve'); import sys; sys.stdout.write('last')"
    for run, name, group in (
        (train, "trains", "/aws/sagemaker/TrainingJobs"),
        (process, "processes", "/aws/sagemaker/ProcessingJobs"),
    ):
        run(sm, name, code)
        assert printed(cloud, group, f"{name}/algo-1") == ["first", "naïve", "last"]


def test_lines_are_filtered_by_the_begin_of_their_stream_s_name(cloud: Cloud) -> None:
    logs, group = cloud.client("logs"), {"logGroupName": "/aws/sagemaker/ProcessingJobs"}
    for name in ("filtered", "filtered-not"):
        process(cloud.client("sagemaker"), name, f"print('of {name}')")

    def found(**asked: Any) -> list[str]:
        return [one["message"] for one in logs.filter_log_events(**group, **asked)["events"]]

    assert found(logStreamNamePrefix="filtered/") == ["of filtered"]
    assert found(logStreamNamePrefix="filtered") == ["of filtered", "of filtered-not"]
    assert found(logStreamNamePrefix="nobody/") == []
    assert found(logStreamNamePrefix="filtered", filterPattern="not") == ["of filtered-not"]
    both = {"logStreamNamePrefix": "filtered", "logStreamNames": ["x"]}
    assert refusal(logs.filter_log_events, **group, **both)[0] == "InvalidParameterException"


def test_a_role_that_may_not_write_logs_leaves_none(cloud: Cloud) -> None:
    allowed = ["s3:*", "ecr:*", "cloudwatch:*"]
    trusted_role(cloud.client("iam"), "silent", Action=allowed)
    role = ROLE.replace(ROLE.rpartition("/")[2], "silent")
    job = process(cloud.client("sagemaker"), "silent", "print('heard')", RoleArn=role)
    assert job["ProcessingJobStatus"] == "Completed"
    groups = cloud.client("logs").describe_log_groups()["logGroups"]
    for group in groups:
        streams = cloud.client("logs").describe_log_streams(logGroupName=group["logGroupName"])
        assert [s for s in streams["logStreams"] if "silent" in s["logStreamName"]] == []


class Kept:
    """moto's logs, as far as they are written to."""

    def __init__(self) -> None:
        self.groups: dict[str, Any] = {}
        self.events: list[str] = []

    def ensure_log_group(self, name: str) -> None:
        self.groups.setdefault(name, SimpleNamespace(streams={}))

    def create_log_stream(self, group: str, stream: str) -> None:
        self.groups[group].streams[stream] = True

    def put_log_events(self, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        assert stream in self.groups[group].streams
        self.events += [event["message"] for event in events]


def test_a_line_is_sent_once_and_when_it_has_ended(tmp_path: Path) -> None:
    path, logs, kept = tmp_path / "log.txt", ContainerLogs(), Kept()
    path.write_text("of an earlier server\n")
    logs.follow(path, "group", "stream", offset=path.stat().st_size)
    logs.flush(kept)
    assert kept.events == []
    with path.open("a") as log:
        log.write("one\ntw")
        log.flush()
        logs.flush(kept)
        assert kept.events == ["one"]
        log.write("o\n")
    logs.flush(kept)
    logs.flush(kept)
    assert kept.events == ["one", "two"]
    logs.end(path, kept)
    with path.open("a") as log:
        log.write("three\n")
    logs.flush(kept)
    assert kept.events == ["one", "two"]


def test_a_log_without_end_says_where_the_rest_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_logs, "CHUNK_BYTES", 100)
    monkeypatch.setattr(container_logs, "STREAM_BYTES", 1_000)
    path, logs, kept = tmp_path / "log.txt", ContainerLogs(), Kept()
    logs.follow(path, "group", "stream")
    path.write_text("x" * 9 + "\n" + "y\n" * 5_000)
    logs.flush(kept)
    assert len(kept.events) < 600
    assert kept.events[-1] == f"the rest is in {path}"


def test_a_server_s_log_is_under_the_name_of_its_endpoint(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sm = cloud.client("sagemaker")
    path = serve_program(tmp_path_factory.mktemp("programs"))
    configure(sm, "talks", path, put_artifact(cloud.client("s3")), crash=1)
    sm.create_endpoint(EndpointName="talks", EndpointConfigName="talks")
    assert settled(sm, "talks")["EndpointStatus"] == "Failed"
    group, logs = "/aws/sagemaker/Endpoints/talks", cloud.client("logs")
    deadline = time.monotonic() + HANGS_SECONDS
    while not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert printed(cloud, group, "crash/i-") == ["cannot load the model"]
    sm.delete_endpoint(EndpointName="talks")
