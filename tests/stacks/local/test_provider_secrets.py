"""What is made of a secret stays one: in states and their history, in logs, errors and reviews.

A canary is put in every place where a person can put a secret; whatever comes back to the engine
must hold it in an envelope, which the engine encrypts, or not at all.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from stacks.local.provider.backend import UNKNOWN
from stacks.local.provider.secrecy import SECRET, SIGNATURE
from tests.kits.fake_backend import Engine, FakeBackend, connected, plain
from tests.kits.local_cloud import Cloud

CANARY = 'canary-"7f3a91'
POLICY = {"Version": "2012-10-17", "Statement": [{"Sid": CANARY, "Effect": "Deny"}]}
PLACES: dict[str, Any] = {
    "a text": CANARY,
    "a number's neighbour": {"size": 1, "of": CANARY},
    "tags": {"team": CANARY},
    "a list": ["a", CANARY, "b"],
    "deep": {"a": [{"b": {"c": CANARY}}]},
    "a policy": json.dumps(POLICY),
    "base64": base64.b64encode(CANARY.encode()).decode(),
}


def secret(value: Any) -> Any:
    return {SIGNATURE: SECRET, "value": value}


def in_the_open(struct: Any) -> str:
    """A bag of an answer as JSON, without what its envelopes hold."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            is_secret = value.get(SIGNATURE) == SECRET
            return "[hidden]" if is_secret else {key: bare(item) for key, item in value.items()}
        return [bare(item) for item in value] if isinstance(value, list) else value

    from google.protobuf.json_format import MessageToDict

    return json.dumps(bare(MessageToDict(struct)))


def exposed(struct: Any) -> bool:
    text = in_the_open(struct)
    return any(form in text for form in ("canary", base64.b64encode(b"canary").decode()[:6]))


class Deriving(FakeBackend):
    """A cloud that makes more of its inputs: tags with defaults, documents, addresses."""

    def _existing(self, id: str) -> Any:
        found = super()._existing(id)
        text = json.dumps(found.inputs, sort_keys=True)
        found.outputs.update(
            tagsAll={"owner": "a", **(found.inputs.get("tags") or {})},
            arn=f"arn:aws:fake:::{found.inputs.get('team', 'x')}",
            policy=text,
            encoded=base64.b64encode(str(found.inputs.get("team")).encode()).decode(),
            parts=[text, {"again": found.inputs.get("team")}],
        )
        return found


@pytest.fixture
def engine() -> Iterator[Engine]:
    with connected(Deriving()) as (made, _):
        yield made


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_and_all_that_is_made_of_it_stay_secret(engine: Engine, place: str) -> None:
    inputs = {"size": 1, "team": secret(PLACES[place])}
    if place == "tags":
        inputs = {"size": 1, "tags": {"team": secret(CANARY), "open": "seen"}}
    checked = engine.check(inputs)
    made = engine.create(inputs)
    state = made.properties
    answers = [
        checked.inputs,
        state,
        engine.create(inputs, preview=True).properties,
        engine.update(made.id, inputs, {**inputs, "size": 2}).properties,
        engine.update(made.id, inputs, {**inputs, "size": 2}, preview=True).properties,
        engine.read(made.id, inputs).properties,
        engine.read(made.id, inputs).inputs,
    ]
    assert [number for number, answer in enumerate(answers) if exposed(answer)] == []
    assert plain(state)["size"] == 1
    assert '"size": 1' in in_the_open(state).replace("1.0", "1"), "what is not secret is seen"


def test_nothing_is_hidden_where_nothing_is_secret(engine: Engine) -> None:
    made = engine.create({"size": 1, "team": CANARY})
    assert exposed(made.properties)
    assert "[hidden]" not in in_the_open(made.properties)


def test_a_secret_that_is_not_known_yet_stays_one(engine: Engine) -> None:
    planned = engine.create({"team": secret(UNKNOWN)}, preview=True).properties
    assert json.loads(in_the_open(planned))["team"] == "[hidden]"


@pytest.mark.parametrize("name", [secret(CANARY), secret("abc")])
def test_a_secret_is_no_name_because_ids_are_kept_in_the_open(engine: Engine, name: Any) -> None:
    refused = engine.check({"size": 1, "name": name}).failures
    assert [failure.property for failure in refused] == ["name"]
    assert "must not be secret: its id must hold no secret" in refused[0].reason


def test_an_id_that_the_cloud_makes_of_a_secret_takes_its_resource_away() -> None:
    backend = FakeBackend()
    with connected(backend) as (engine, _), pytest.raises(grpc.RpcError, match="hold no secret"):
        engine.create({"team": secret("box-1")})
    assert backend.boxes == {}


class Failing(FakeBackend):
    def create(self, subject: Any, inputs: Any) -> Any:
        raise RuntimeError(f"no such team: {inputs['team']}")


def test_an_error_and_the_log_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with connected(Failing()) as (engine, _), caplog.at_level(logging.DEBUG):
        with pytest.raises(grpc.RpcError, match=r"no such team: \[secret\]") as failed:
            engine.create({"team": secret(CANARY)})
        assert "canary" not in str(failed.value)
    assert "RuntimeError" in caplog.text
    assert "canary" not in caplog.text


def test_default_tags_that_are_secret_stay_secret(engine: Engine) -> None:
    engine.configure({"defaultTags": secret(json.dumps({"tags": {"team": CANARY}}))})
    assert not exposed(engine.check({"size": 1, "tags": {"team": CANARY}}).inputs)


TYPES: dict[str, dict[str, Any]] = {
    "aws:secretsmanager/secretVersion:SecretVersion": {},
    "aws:sqs/queue:Queue": {"name": "plinth-secret", "tags": {"team": secret(CANARY)}},
    "aws:sns/topic:Topic": {"name": "plinth-secret", "displayName": secret(CANARY)},
    "aws:s3/bucketV2:BucketV2": {"bucket": "plinth-secret", "tags": {"team": secret(CANARY)}},
    "aws:cloudwatch/logGroup:LogGroup": {"name": "/plinth/s", "tags": {"a": secret(CANARY)}},
    "aws:ssm/parameter:Parameter": {
        "name": "/plinth/secret", "type": "String", "value": secret(CANARY),
    },
    "aws:iam/role:Role": {
        "name": "plinth-secret",
        "description": secret(CANARY),
        "assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": []}),
        "tags": {"team": secret(CANARY)},
    },
}  # fmt: skip
"""Inputs with a canary; types without a row say so and are left out."""


def test_resources_of_the_real_table_keep_their_secrets(cloud: Cloud) -> None:
    kept = []
    with connected(cloud.backend()) as (engine, _):
        for token, inputs in TYPES.items():
            urn = f"urn:pulumi:test::plinth::{token}::it"
            checked = engine.check(inputs, urn=urn)
            if checked.failures:
                assert "canary" not in str(checked.failures)
                continue
            made = engine.create(plainly(checked.inputs), urn=urn)
            assert not exposed(checked.inputs), token
            assert not exposed(made.properties), token
            assert "canary" not in made.id, token
            kept.append(token)
    assert len(kept) >= 4


def plainly(struct: Any) -> Any:
    """A bag as it goes over the wire, envelopes and all."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(struct)
