"""Answers of local endpoints that come part by part."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EventStreamError

from stacks.local.aws import event_stream
from tests.kits.endpoints import configure, invoke, put_artifact, serve, serve_program
from tests.kits.local_cloud import Cloud, refusal, running_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        path = serve_program(tmp_path_factory.mktemp("bin"))
        sm = running.client("sagemaker")
        for name in ("streams", "breaks"):
            configure(sm, name, path, put_artifact(running.client("s3")), model=1)
            serve(sm, name, name)
        yield running


@pytest.fixture(scope="module")
def runtime(cloud: Cloud) -> Any:
    return cloud.client("sagemaker-runtime")


def parts(answer: Any) -> Iterator[str]:
    for entry in answer["Body"]:
        yield entry["PayloadPart"]["Bytes"].decode()


def test_a_part_arrives_before_the_model_has_the_next(cloud: Cloud, runtime: Any) -> None:
    """The model writes its second part only once it was asked to, after the first was read."""
    asked = {"EndpointName": "streams", "Body": b"stream", "ContentType": "text/csv"}
    answer = runtime.invoke_endpoint_with_response_stream(**asked)
    assert answer["ContentType"] == "text/event-stream"
    assert answer["InvokedProductionVariant"] == "model"
    arrived = parts(answer)
    assert next(arrived) == "one"
    invoke(cloud, "streams", "go on")
    assert [*arrived] == ["two", "three"]


def test_an_answer_of_one_piece_is_one_part(runtime: Any) -> None:
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="streams", Body=b"row", ContentType="text/csv"
    )
    assert "".join(parts(answer)) == "model|m1|row|text/csv"


def test_a_model_that_breaks_off_is_said_after_what_it_said(cloud: Cloud, runtime: Any) -> None:
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName="breaks", Body=b"break")
    arrived = parts(answer)
    assert next(arrived) == "one"
    invoke(cloud, "breaks", "go on")
    with pytest.raises(EventStreamError, match="ModelStreamError"):
        next(arrived)
    assert invoke(cloud, "breaks", "row")[0].startswith("model|")


def test_a_model_that_refuses_is_an_error_and_no_stream(runtime: Any) -> None:
    ask = runtime.invoke_endpoint_with_response_stream
    code, message, status = refusal(ask, EndpointName="streams", Body=b"bad")
    assert (code, status) == ("ModelError", 424) and "no such row" in message
    assert refusal(ask, EndpointName="none", Body=b"x")[0] == "ValidationError"


def test_a_message_is_read_back_by_botocore() -> None:
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(event_stream.event("PayloadPart", b"\x00\xff") + event_stream.event("X", b""))
    first, second = buffer
    assert first.payload == b"\x00\xff" and first.headers[":event-type"] == "PayloadPart"
    assert second.payload == b"" and second.headers[":message-type"] == "event"
