"""The serving contract, over HTTP against a real server process with a real model."""

import asyncio
import http.client
import json
import pickle
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.model import load
from serving.server import App, ServerLimits, Service
from tests.kits.serving import CSV, JSON, LINES, RECORD
from tests.kits.serving_process import Server, start, stop


def test_a_ping_is_healthy(server: Server) -> None:
    assert server.send("GET", "/ping").status == 200


@pytest.mark.parametrize("body", [{"records": [RECORD, RECORD]}, [RECORD, RECORD]])
def test_records_are_predicted_as_the_model_would(server: Server, opt_ml: Path, body: Any) -> None:
    [[expected]] = load(opt_ml / "model").predict([[1.0, 500.0, 3.5]])
    answer = server.invoke(body)
    assert answer.status == 200
    assert answer.document == {"predictions": [{"probability": expected}] * 2}


def test_every_media_type_gives_the_same_prediction(server: Server) -> None:
    expected = server.invoke(RECORD).document["predictions"][0]["probability"]
    bodies = [
        (json.dumps(RECORD), "application/json; charset=UTF-8"),
        (json.dumps(RECORD) + "\n", LINES),
        ("UA,500,3.5\n", CSV),
        ("UA,5e2,3.5", "text/csv; header=absent"),
        ("wind,carrier,distance\r\n3.5,UA,500.0\r\n", "text/csv;header=present"),
    ]
    for body, content_type in bodies:
        answer = server.invoke(body, content_type)
        assert answer.document == {"predictions": [{"probability": expected}]}, content_type


def test_a_quoted_field_of_csv_is_its_content(service: Service) -> None:
    plain = service.invoke(CSV, "", b"UA,500,3.5")
    assert service.invoke(CSV, "", b'"UA","500",3.5\r\n') == plain


def test_accept_chooses_the_answer(server: Server) -> None:
    expected = server.invoke(RECORD).document["predictions"][0]["probability"]
    assert server.invoke(RECORD, Accept="text/csv").body == f"{expected!r}\n".encode()
    lines = server.invoke([RECORD] * 2, Accept="application/xml, application/jsonlines;q=0.9")
    assert lines.headers["content-type"] == LINES
    assert [json.loads(line) for line in lines.body.splitlines()] == [{"probability": expected}] * 2
    assert server.invoke(RECORD, Accept="application/*;q=0.1").headers["content-type"] == JSON
    assert server.invoke(RECORD, Accept="image/png").status == 406
    other = server.invoke(RECORD, Accept="application/json;q=0, */*").headers["content-type"]
    assert other == "application/jsonlines", "of each type the most specific offer counts"
    assert server.invoke(RECORD, Accept="*/*;q=0").status == 406


def test_an_unknown_category_counts_as_missing_and_is_reported(server: Server) -> None:
    answer = server.invoke([RECORD, RECORD | {"carrier": "ZZ"}, RECORD | {"carrier": "YY"}])
    assert answer.status == 200
    custom = answer.headers["x-amzn-sagemaker-custom-attributes"]
    assert custom == "unknown-categories=carrier:2"
    assert "x-amzn-sagemaker-custom-attributes" not in server.invoke(RECORD).headers


def test_a_null_is_taken_where_the_signature_allows_it(server: Server) -> None:
    assert server.invoke(RECORD | {"wind": None}).status == 200
    assert server.invoke("UA,500,\n", CSV).status == 200


def text(**changes: Any) -> str:
    return json.dumps([RECORD, RECORD | changes])


def raw(value: str) -> str:
    return json.dumps([RECORD | {"wind": "@"}]).replace('"@"', value)


MALFORMED: dict[str, tuple[str | bytes, str, int, str]] = {
    "nothing": ("", JSON, 400, "not JSON"),
    "no JSON": ("{", JSON, 400, "not JSON"),
    "bytes": (b"\xff\xfe\x00", JSON, 400, "not UTF-8: byte 0"),
    "null": ("null", JSON, 400, "record 0: must be an object"),
    "a number": ("7", JSON, 400, "record 0: must be an object"),
    "no records": ("[]", JSON, 400, "no records"),
    "records no list": ('{"records": {}}', JSON, 400, "records must be a list"),
    "records and more": ('{"records": [], "x": 1}', JSON, 400, "got 'x' as well"),
    "lists": ("[[1, 2, 3]]", JSON, 400, "record 0: must be an object"),
    "nesting": ("[" * 100_000, JSON, 400, "nested too deeply"),
    "object nesting": ('{"a":' * 100_000, JSON, 400, "nested too deeply"),
    "boolean": (
        text(distance=True),
        JSON,
        400,
        "record 1: field 'distance' must be a number, got True",
    ),
    "text": (text(distance="500"), JSON, 400, "record 1: field 'distance' must be a number"),
    "list": (text(distance=[1]), JSON, 400, "record 1: field 'distance' must be a number"),
    "null number": (text(distance=None), JSON, 400, "record 1: field 'distance' must not be null"),
    "null category": (text(carrier=None), JSON, 400, "field 'carrier' must not be null"),
    "numeric category": (text(carrier=1), JSON, 400, "record 1: field 'carrier' must be text"),
    "NaN": (raw("NaN"), JSON, 400, "NaN is no number"),
    "infinity": (raw("-Infinity"), JSON, 400, "-Infinity is no number"),
    "overflow": (raw("1e999"), JSON, 400, "field 'wind' must be a finite number"),
    "huge integer": (raw("9" * 400), JSON, 400, "field 'wind' must be a finite number"),
    "endless integer": (raw("9" * 9000), JSON, 400, "not JSON"),
    "missing field": (
        '[{"carrier": "UA", "wind": 1}]',
        JSON,
        400,
        "record 0: field 'distance' is missing",
    ),
    "unknown field": (text(windy=1), JSON, 400, "record 1: field 'windy' is unknown"),
    "double field": (raw('1, "wind": 2'), JSON, 400, "field 'wind' is given twice"),
    "two documents": (json.dumps(RECORD) * 2, JSON, 400, "not JSON"),
    "too many records": (json.dumps([1] * 10_001), JSON, 413, "more than 10000 records"),
    "too many rows": ("UA,1,1\n" * 10_001, CSV, 413, "more than 10000 records"),
    "too many lines": ("{}\n" * 10_001, LINES, 413, "more than 10000 records"),
    "too many bytes": (b" " * (6 * 1024 * 1024 + 1), JSON, 413, "at most 6291456 bytes"),
    "CSV width": ("UA,1,1\nUA,1\n", CSV, 400, "record 1: must have 3 fields, got 2"),
    "CSV nan": ("UA,nan,1\n", CSV, 400, "record 0: field 'distance' must be a number, got 'nan'"),
    "CSV underscore": ("UA,1_000,1\n", CSV, 400, "field 'distance' must be a number"),
    "CSV digits": ("UA,٣,1\n", CSV, 400, "field 'distance' must be a number"),
    "CSV overflow": ("UA,1e999,1\n", CSV, 400, "must be a finite number"),
    "CSV quote": ('"UA,1,1\n', CSV, 400, "not CSV"),
    "CSV stray quote": ('U"A,1,1\n', CSV, 400, "stray quote in line 1"),
    "CSV text after a quote": ('UA,1,1\n"UA"x,1,1\n', CSV, 400, "stray quote in line 2"),
    "CSV zero byte": ("UA,1\0,1\n", CSV, 400, ""),
    "CSV field": ("U" * 200_000 + ",1,1\n", CSV, 400, "not CSV"),
    "CSV empty": ("", CSV, 400, "no records"),
    "CSV header alone": ("carrier,distance,wind\n", "text/csv;header=present", 400, "no records"),
    "CSV header": ("a,b,c\nUA,1,1\n", "text/csv;header=present", 400, "'carrier' is missing"),
    "CSV header twice": (
        "wind,wind,wind\n1,1,1\n",
        "text/csv;header=present",
        400,
        "a field twice",
    ),
    "CSV header option": ("UA,1,1\n", "text/csv;header=maybe", 415, "present or absent"),
    "JSON line": (json.dumps(RECORD) + "\n{\n", LINES, 400, "record 1 is not JSON"),
    "blank line": ("\n" + json.dumps(RECORD), LINES, 400, "record 0 is not JSON"),
    "no type": (json.dumps(RECORD), "", 415, "Content-Type must be one of"),
    "pickle": (
        pickle.dumps(RECORD),
        "application/octet-stream",
        415,
        "Content-Type must be one of",
    ),
    "charset": (
        json.dumps(RECORD),
        "application/json; charset=utf-16",
        415,
        "charset must be utf-8",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_body_is_refused_with_a_reason(server: Server, case: str) -> None:
    body, content_type, status, reason = MALFORMED[case]
    answer = server.invoke(body, content_type)
    assert answer.status == status
    assert reason in answer.document["error"]


def test_a_refusal_names_record_and_field_for_machines(server: Server) -> None:
    document = server.invoke(text(distance=True)).document
    assert (document["record"], document["field"]) == (1, "distance")


def test_wrong_paths_and_methods_are_refused(server: Server) -> None:
    assert server.send("GET", "/").status == 404
    assert server.send("GET", "/invocations").status == 405
    answer = server.send("POST", "/ping", b"{}")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["records", *RECORD]), inner, max_size=4)
    ),
    max_leaves=6,
)
TYPES = st.sampled_from([JSON, CSV, LINES, "text/csv; header=present"])


@pytest.fixture(scope="module")
def service(opt_ml: Path) -> Service:
    return Service(model=load(opt_ml / "model"), limits=ServerLimits())


@settings(max_examples=300, derandomize=True)
@given(body=st.binary(max_size=60) | VALUES.map(lambda v: json.dumps(v).encode()), kind=TYPES)
def test_no_body_at_all_makes_the_service_fail(service: Service, body: bytes, kind: str) -> None:
    reply = service.invoke(kind, "", body)
    assert reply.status in {200, 400, 413, 415}
    assert reply.status == 200 or json.loads(reply.body)["error"]


@settings(max_examples=200, derandomize=True)
@given(field=st.sampled_from(sorted(RECORD)), value=VALUES)
def test_a_record_is_predicted_exactly_if_it_keeps_its_signature(
    service: Service, field: str, value: Any
) -> None:
    reply = service.invoke(JSON, "", json.dumps(RECORD | {field: value}).encode())
    if field == "carrier":
        fits = isinstance(value, str)
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = (value is None and field == "wind") or (number and abs(value) < 1e308)
    assert (reply.status == 200) == fits


async def ask(app: App, body: bytes = b"{}") -> tuple[int, dict[bytes, bytes]]:
    """One request straight to the ASGI application."""
    sent: list[Any] = []
    asked: list[bool] = []

    async def receive() -> Any:
        if asked:
            await asyncio.Event().wait()  # the caller stays
        asked.append(True)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_full_queue_answers_503_at_once(service: Service) -> None:
    gate = threading.Event()

    class Slow:
        signature = service.model.signature
        walks = ()

        def predict(self, rows: Any) -> list[list[float]]:
            gate.wait(10)
            return [[0.5]] * len(rows)

    app = App(replace(service, model=Slow(), limits=ServerLimits(requests=2)))  # type: ignore[arg-type]
    body = json.dumps(RECORD).encode()

    async def scenario() -> list[Any]:
        waiting = [asyncio.create_task(ask(app, body)) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await ask(app, body)
        gate.set()
        return [refused, *await asyncio.gather(*waiting)]

    (status, headers), *others = asyncio.run(scenario())
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert [status for status, _ in others] == [200, 200]


@pytest.mark.parametrize(("body", "is_small"), [(b"{}", True), (b" " * 4096 + b"{}", False)])
def test_a_small_body_is_answered_in_the_loop_and_a_larger_one_beside_it(
    service: Service, body: bytes, is_small: bool
) -> None:
    asked: list[threading.Thread] = []

    class Quick:
        walks = (1,)

        @property
        def signature(self) -> Any:
            asked.append(threading.current_thread())
            return service.model.signature

    app = App(replace(service, model=Quick()))  # type: ignore[arg-type]
    status, _ = asyncio.run(ask(app, body))
    assert status == 400, "no record is in it"
    assert {thread is threading.main_thread() for thread in asked} == {is_small}


def test_a_failure_of_ours_is_a_500_without_its_details(service: Service) -> None:
    class Broken:
        signature = service.model.signature
        walks = ()

        def predict(self, rows: Any) -> list[list[float]]:
            raise RuntimeError("secret")

    app = App(replace(service, model=Broken()))  # type: ignore[arg-type]
    assert asyncio.run(ask(app, json.dumps(RECORD).encode()))[0] == 500


def test_sigterm_finishes_what_has_begun(opt_ml: Path) -> None:
    server = start(opt_ml)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        body = json.dumps(RECORD).encode()
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", JSON)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(ConnectionError):
            server.send("GET", "/ping")
        connection.send(body[5:])
        assert connection.getresponse().status == 200
        connection.close()
        assert server.process.wait(10) == 0
    finally:
        stop(server)
