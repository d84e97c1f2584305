"""States in a bucket: a damaged one is told, and an older version becomes the newest."""

from functools import partial
from typing import Any

import boto3
import pytest

from infra.errors import UserError
from stacks.targets import state_versions
from stacks.targets.state_versions import Place, place
from tests.stacks.local.test_state_files import STACK, state

BUCKET = "plinth-states"
WHERE = Place(BUCKET, f".pulumi/stacks/plinth/{STACK}.json")
NEWER = state("2026-01-02T00:00:00Z", extra=1)


@pytest.fixture
def clients(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    made = partial(boto3.client, region_name="us-east-1", endpoint_url=moto)
    s3 = made("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for content in (state("2026-01-01T00:00:00Z"), NEWER):
        s3.put_object(Bucket=BUCKET, Key=WHERE.key, Body=content)
    yield made
    listed = s3.list_object_versions(Bucket=BUCKET)
    for one in (*listed.get("Versions", []), *listed.get("DeleteMarkers", [])):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (f"s3://{BUCKET}?region=us-east-1&awssdk=v2", WHERE.key),
        (f"s3://{BUCKET}/teams/ml/", f"teams/ml/{WHERE.key}"),
    ],
)
def test_a_state_lies_where_pulumi_puts_it(url: str, key: str) -> None:
    assert place(url, STACK) == Place(BUCKET, key)


def test_another_backend_is_refused_with_what_to_do_there() -> None:
    with pytest.raises(UserError, match="must be a bucket with versions, got https:") as refused:
        place("https://api.pulumi.com", STACK)
    assert "pulumi stack import" in refused.value.fix


def test_a_whole_state_is_left_alone(clients: Any) -> None:
    assert state_versions.damage(clients, WHERE, STACK) is None
    assert len(list(state_versions.whole(clients, WHERE, STACK))) == 2


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "an empty file"), (b"{}", "no checkpoint"), (b"{", "no JSON")]
)
def test_a_damaged_state_is_told_and_the_version_before_comes_back(
    clients: Any, content: bytes, what: str
) -> None:
    clients("s3").put_object(Bucket=BUCKET, Key=WHERE.key, Body=content)
    assert str(state_versions.damage(clients, WHERE, STACK)).startswith(what)
    assert state_versions.restore(clients, WHERE, STACK).content == NEWER
    assert state_versions.current(clients, WHERE) == NEWER
    assert state_versions.damage(clients, WHERE, STACK) is None


def test_a_deleted_state_comes_back(clients: Any) -> None:
    clients("s3").delete_object(Bucket=BUCKET, Key=WHERE.key)
    assert state_versions.damage(clients, WHERE, STACK) == "no object"
    state_versions.restore(clients, WHERE, STACK)
    assert state_versions.current(clients, WHERE) == NEWER


def test_without_a_whole_version_there_is_nothing_to_put_back(clients: Any) -> None:
    other = Place(BUCKET, ".pulumi/stacks/plinth/local.weather.json")
    assert state_versions.damage(clients, other, "local.weather") is None
    with pytest.raises(UserError, match="must have a whole version, got none"):
        state_versions.restore(clients, other, "local.weather")
