"""Every type of resource outlives the process that holds it: the cloud is killed, and reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from stacks.local.provider.aws.backend import AwsBackend
from stacks.local.provider.aws.table import ROWS
from stacks.local.provider.backend import Existing
from tests.kits.local_cloud import BUCKET, killed_cloud, running_cloud
from tests.kits.local_cloud import Cloud as Running
from tests.kits.provider import Cloud, serve_program, subject
from tests.stacks.local.provider_cases.cases import CASES

ALONE = "aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer"
"""One MLflow runs at a time: that of an app, which is kept in the same way."""

FIRST = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
"""Of a bucket that is empty."""


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What was read before a cloud was killed, and the cloud that came after it."""

    before: Mapping[str, Existing]
    backend: AwsBackend
    cloud: Running


def read(backend: AwsBackend, token: str, made: Existing) -> Existing:
    found = backend.read(subject(token), made.id, made.inputs)
    assert found is not None, token
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    programs = tmp_path_factory.mktemp("bin")
    with running_cloud(tmp_path_factory.mktemp("home")) as local:
        local.client("s3").put_object(Bucket=BUCKET, Key="kept", Body=b"some of it" * 10_000)
        made = Cloud(local.backend(), serve_path=serve_program(programs))
        for token in (FIRST, *sorted({*CASES} - {ALONE})):
            for other in CASES[token].after:
                made.need(other)
            made.need(token)
        before = {token: read(made.backend, token, one) for token, one in made.made.items()}
        after = killed_cloud(local)
        yield Killed(before=before, backend=after.backend(), cloud=after)


@pytest.mark.parametrize("token", sorted({*ROWS} - {ALONE}), ids=lambda t: t.rpartition(":")[2])
def test_a_killed_cloud_reads_it_as_before(killed: Killed, token: str) -> None:
    before = killed.before[token]
    after = read(killed.backend, token, before)
    assert (after.id, after.inputs) == (before.id, before.inputs)
    assert after.outputs == before.outputs


def test_its_objects_have_their_bodies(killed: Killed) -> None:
    found = killed.cloud.client("s3").get_object(Bucket=BUCKET, Key="kept")["Body"].read()
    assert found == b"some of it" * 10_000


def test_it_answers_where_it_did_and_says_what_it_has(killed: Killed) -> None:
    assert killed.cloud.info.notes
    assert "has its data of" in killed.cloud.info.notes[0]
