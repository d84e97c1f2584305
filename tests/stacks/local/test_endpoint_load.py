"""The local cloud's endpoint under wrong, stalled and enormous requests; the drill sends more."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from stacks.local.daemon.http import THREADS
from tests.drills.endpoint import drill, target_of
from tests.kits.attacks import Target
from tests.kits.endpoint_requests import JSON_11, Wrong, sent, wire, wrong
from tests.kits.local_cloud import BUCKET, Cloud


@pytest.fixture(scope="module")
def target(cloud: Cloud) -> Target:
    return target_of(cloud)


def answered(target: Target, raw: bytes) -> bytes:
    with wire(target, raw) as asking:
        return b"".join(iter(lambda: asking.recv(65536), b""))


def threads(cloud: Cloud) -> int:
    return int(psutil.Process(cloud.info.pid).num_threads())


def test_a_wrong_request_gets_a_refusal_of_aws_and_no_page(target: Target) -> None:
    statuses, harms, _ = drill(target, wrong(seed=3, count=300))
    assert harms == []
    assert min(statuses[400], statuses[501]) > 30


def test_what_nobody_built_is_said_once_and_not_asked_again(cloud: Cloud) -> None:
    for service, operation, asked in (
        ("translate", "list_terminologies", "ListTerminologies"),
        ("gamelift", "list_builds", "ListBuilds"),
        ("eks", "describe_addon_versions", "GET /addons/supported-versions"),
        ("iam", "get_organizations_access_report", "GetOrganizationsAccessReport"),
    ):
        told = f"^An error .*: {service}: {asked} is not emulated by the local cloud"
        with pytest.raises(ClientError, match=told) as refused:
            more = {"JobId": "a" * 36} if service == "iam" else {}
            getattr(cloud.client(service), operation)(**more)
        answer = refused.value.response
        assert answer["Error"]["Code"] == "NotEmulated"
        assert answer["ResponseMetadata"]["RetryAttempts"] == 0


HEAD = "POST / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/x-amz-json-1.1\r\n"
LENGTHS = {
    "Content-Length: -1": (b"{}", 400),
    "Content-Length: 99999999999999999999999": (b"{}", 400),
    "Content-Length: 209715200": (b"", 413),
    "Content-Length: 2\r\nTransfer-Encoding: chunked": (b"0\r\n\r\n", 400),
    "Transfer-Encoding: chunked": (b"200001\r\n" + b" " * 0x200001 + b"\r\n0\r\n\r\n", 413),
}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_that_must_not_be_is_refused_at_once(
    target: Target, cloud: Cloud, length: str
) -> None:
    body, status = LENGTHS[length]
    before, begun = threads(cloud), time.monotonic()
    with wire(target, f"{HEAD.format(target.port)}{length}\r\n\r\n".encode() + body) as asking:
        assert asking.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())
        assert time.monotonic() - begun < 5
    time.sleep(1)
    assert threads(cloud) <= before + 1


def test_a_signed_body_of_200_mb_is_refused(target: Target) -> None:
    asked = Wrong(
        kind="large", service="sagemaker", body=b" " * (200 << 20), target="SageMaker.ListModels",
        content_type=JSON_11,
    )  # fmt: skip
    assert sent(target, asked)[0] == 413


def test_an_object_of_that_size_is_taken(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(80 << 20))
    assert s3.head_object(Bucket=BUCKET, Key="large")["ContentLength"] == 80 << 20
    s3.delete_object(Bucket=BUCKET, Key="large")


def test_stalled_callers_do_not_shut_out_others_and_threads_are_bounded(
    target: Target, cloud: Cloud
) -> None:
    head = f"{HEAD.format(target.port)}Content-Length: 100\r\n\r\n".encode() + b"{"
    with ExitStack() as held:
        for _ in range(THREADS + 60):
            held.enter_context(wire(target, head))
        answers: list[Any] = [cloud.client("sagemaker").list_models()["Models"] for _ in range(5)]
        assert answers == [[]] * 5
        assert threads(cloud) <= THREADS + 40


def test_a_request_without_a_signature_is_refused_in_the_words_of_its_protocol(
    target: Target,
) -> None:
    raw = f"{HEAD.format(target.port)}Content-Length: 2\r\n\r\n{{}}".encode()
    answer = answered(target, raw)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"MissingAuthenticationToken" in answer
