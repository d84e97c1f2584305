"""When a snapshot is taken: in a moment in which nobody changes anything, if somebody did."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from stacks.local.aws.protocols import BODY
from stacks.local.keeping.bodies import Bodies
from stacks.local.keeping.forms import CannotKeep
from stacks.local.keeping.journal import Journal
from stacks.local.keeping.keeper import LATEST_SECONDS, STILL_SECONDS, Keeper
from stacks.local.keeping.loading import load
from stacks.local.keeping.places import moto_places
from stacks.local.keeping.quiet import Quiet, changes
from stacks.local.keeping.snapshots import Snapshots
from stacks.local.runtime import keys

INVOKED = "/endpoints/it/invocations"


def environ(service: str, method: str = "POST", path: str = "/", **more: Any) -> dict[str, Any]:
    scope = f"Credential=AKIA/20260101/us-east-1/{service}/aws4_request"
    signed = {"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {scope}"}
    return {"REQUEST_METHOD": method, "PATH_INFO": path, **signed, **more}


def target(service: str, operation: str) -> dict[str, Any]:
    return environ(service, HTTP_X_AMZ_TARGET=f"Some_2012.{operation}")


def action(service: str, name: str) -> dict[str, Any]:
    return {**environ(service), BODY: f"Version=2011-06-15&Action={name}".encode()}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (target("dynamodb", "PutItem"), True),
        (target("dynamodb", "Query"), False),
        (target("sagemaker", "CreateModel"), True),
        (target("sagemaker", "DescribeModel"), False),
        (target("sqs", "ReceiveMessage"), True),
        (action("ec2", "RunInstances"), True),
        (action("ec2", "DescribeVpcs"), False),
        (action("sts", "GetSessionToken"), True),
        (environ("s3", "PUT", "/bucket/key"), True),
        (environ("s3", "GET", "/bucket/key"), False),
        (environ("s3", "HEAD", "/bucket"), False),
        (environ("sagemaker", "POST", INVOKED), False),
        (environ("s3", "PUT", INVOKED), True),
        (environ("lambda", "POST", "/2015-03-31/functions/it/invocations"), True),
        (environ("", "PUT", "/bucket/key"), True),
    ],
)
def test_what_may_change_something_is_told_from_what_reads(
    request_: dict[str, Any], expected: bool
) -> None:
    assert changes(request_) is expected


@pytest.fixture
def quiet(tmp_path: Path) -> Quiet:
    return Quiet(tmp_path / "changed")


def test_no_moment_is_quiet_while_somebody_changes_something(quiet: Quiet) -> None:
    with quiet.changing(), quiet.moment() as whole:
        assert not whole
    with quiet.moment() as whole:
        assert whole


def test_a_change_waits_for_the_end_of_a_moment(quiet: Quiet) -> None:
    done: list[str] = []

    def change() -> None:
        with quiet.changing():
            done.append("changed")

    with quiet.moment():
        other = threading.Thread(target=change)
        other.start()
        other.join(0.05)
        done.append("moment over")
    other.join()
    assert done == ["moment over", "changed"]


def test_the_home_says_that_something_is_not_written_down(quiet: Quiet, tmp_path: Path) -> None:
    flag = tmp_path / "changed"
    with quiet.changing():
        assert flag.exists(), "before it happens"
    held = quiet.changes
    quiet.note()
    quiet.written_down(held)
    assert flag.exists(), "something changed after the snapshot"
    quiet.written_down(quiet.changes)
    assert not flag.exists()
    quiet.note()
    assert flag.exists()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    folder = tmp_path / "local" / "data"
    folder.mkdir(parents=True)
    snapshots = Snapshots(folder=folder, keys=keys.ensure(tmp_path))
    with mock_aws():
        yield Keeper(
            snapshots=snapshots,
            quiet=Quiet(snapshots.changed),
            cloud_id="0123456789abcdef",
            places={"it": {"number": 1}},
            bodies=Bodies(snapshots.bodies_folder),
            journal=Journal(folder=folder, keys=keys.load(tmp_path)),
            locks=[threading.Lock()],
            stamp=lambda: None,
        )


def kept(keeper: Keeper) -> dict[str, Any]:
    place: dict[str, Any] = {}
    load(keeper.snapshots, {"it": place}, keeper.bodies)
    return place


def test_a_snapshot_is_written_when_a_change_is_over_and_not_again(keeper: Keeper) -> None:
    keeper.look(100.0)
    assert keeper.snapshots.all() == [], "nothing has changed"
    keeper.quiet.note()
    keeper.look(101.0)
    assert keeper.snapshots.all() == [], "something may follow"
    keeper.look(101.1 + STILL_SECONDS)
    assert len(keeper.snapshots.all()) == 1
    assert not keeper.snapshots.changed.exists()
    keeper.look(200.0)
    assert len(keeper.snapshots.all()) == 1
    assert kept(keeper) == {"number": 1}


def test_changes_without_end_are_written_down_in_between(keeper: Keeper) -> None:
    step, now = STILL_SECONDS / 2, 100.0
    while now < 100.0 + LATEST_SECONDS + step:
        keeper.quiet.note()
        keeper.look(now)
        now += step
    assert len(keeper.snapshots.all()) == 1


def test_a_change_that_is_no_request_is_seen_by_the_stamp(keeper: Keeper) -> None:
    keeper.stamp = iter(range(10)).__next__
    keeper.look(100.0)
    assert keeper.snapshots.changed.exists()


def test_no_snapshot_is_taken_in_the_middle_of_a_change_unless_it_must_be(keeper: Keeper) -> None:
    with keeper.quiet.changing():
        assert not keeper.save(forced=False)
        assert keeper.snapshots.all() == []
        assert keeper.save(forced=True)
    assert keeper.snapshots.changed.exists(), "the change may have come after it"
    with keeper.locks[0]:
        assert not keeper.save(forced=False)
    assert kept(keeper) == {"number": 1}


def test_what_cannot_be_kept_of_ours_is_an_error_and_the_snapshot_before_stays(
    keeper: Keeper,
) -> None:
    keeper.save(forced=False)
    keeper.places = {"it": {"number": 2, "call": lambda: None}}
    with pytest.raises(CannotKeep, match="lambda"):
        keeper.save(forced=False)
    assert kept(keeper) == {"number": 1}


def test_what_cannot_be_kept_of_moto_is_left_out_and_named(keeper: Keeper) -> None:
    from moto.backends import get_backend

    sqs, sns = (get_backend(name)["123456789012"]["us-east-1"] for name in ("sqs", "sns"))
    sqs.create_queue("kept", None)
    sns.plinth_call = lambda: None
    keeper.save(forced=False)
    [name] = keeper.left_out
    assert "sns" in name
    del sns.plinth_call
    sqs.reset()
    loaded = load(keeper.snapshots, {"it": {}}, keeper.bodies)
    assert list(sqs.queues) == ["kept"]
    assert f"without {name}" in loaded.notes[-1]
    assert name in moto_places()
