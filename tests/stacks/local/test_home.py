"""The files of a home: lost and damaged ones are found out, and nobody else may read them."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.local.daemon import client as daemon
from stacks.local.daemon import environment, killed_engines, leases
from stacks.local.runtime import files
from stacks.targets import local_state
from tests.conftest import ROOT, Clone
from tests.kits.local_cloud import Cloud, running_cloud
from tests.kits.path import wait_until

STACK = "local.foundation"
GARBAGE = ("", "{}", "[]", "null", "text", "{", '{"pid": 1}', '{"pid": "x", "create_time": "y"}')


def say(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.parametrize("content", [None, *GARBAGE])
def test_a_cloud_is_found_though_its_record_is_lost_or_damaged(
    cloud: Cloud, content: str | None
) -> None:
    record = cloud.home / "local" / "cloud.json"
    good = record.read_bytes()
    if content is None:
        record.unlink()
    else:
        record.write_text(content)
    assert daemon.find(cloud.home) == cloud.info  # by what its lock holds
    wait_until(lambda: record.exists() and record.read_bytes() == good)


@pytest.mark.parametrize("content", [None, *GARBAGE])
def test_a_cloud_is_found_though_what_its_lock_holds_is_lost_or_damaged(
    cloud: Cloud, content: str | None
) -> None:
    lock = cloud.home / "local" / "daemon.lock"
    lock.write_text(content or "")
    assert daemon.find(cloud.home) == cloud.info


def test_only_the_owner_reads_the_home(cloud: Cloud) -> None:
    folder = cloud.home / "local"
    assert folder.stat().st_mode & 0o777 == 0o700
    open_to_others = [
        path.name for path in folder.iterdir() if path.is_file() and path.stat().st_mode & 0o077
    ]
    assert not open_to_others
    assert (folder / "cloud.log").exists()


@pytest.mark.parametrize("name", ["iam.json", "mlflow.json"])
@pytest.mark.parametrize("content", ["", "[]", "text", "{"])
def test_a_damaged_file_is_named_with_the_way_out(cloud: Cloud, name: str, content: str) -> None:
    path = cloud.home / "local" / name
    before = path.read_bytes() if path.exists() else None
    path.write_text(content)
    try:
        with pytest.raises(UserError, match=f"{name} must hold a JSON object") as refused:
            local_state.state(cloud.home, cloud.info)
        assert "delete it" in refused.value.fix
    finally:
        path.unlink()
        if before is not None:
            path.write_bytes(before)


@pytest.mark.parametrize("content", [*GARBAGE, '{"pid": 1, "timestamp": 5}'])
def test_a_damaged_lock_of_the_engine_keeps_nobody_out(tmp_path: Path, content: str) -> None:
    lock = tmp_path / "local" / "state" / ".pulumi" / "locks" / "organization" / STACK / "a.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(content)
    assert killed_engines.was_cut_off(tmp_path, STACK)
    assert killed_engines.clear_dead_lock(tmp_path, STACK, say)
    assert not lock.exists()


@pytest.mark.parametrize("noted", ["", "text", "0123456789abcdeg"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_lost_note_of_whose_state_it_is_costs_no_state_of_a_cloud_that_runs(
    tmp_path: Path, noted: str, *, fresh: bool
) -> None:
    state = tmp_path / "local" / "state"
    state.mkdir(parents=True)
    (state / "one").touch()
    (tmp_path / "local" / "state-of-cloud").write_text(noted)
    environment._fit_state(tmp_path, "0123456789abcdef", say, fresh=fresh)
    assert (state / "one").exists() is not fresh
    assert (tmp_path / "local" / "state-of-cloud").read_text() == "0123456789abcdef"


@pytest.mark.parametrize("home", ["/proc/plinth", str(ROOT / "README.md"), "/dev/null/plinth"])
@pytest.mark.parametrize("words", [("up", STACK), ("destroy", "local", "--yes")])
def test_a_home_that_cannot_be_written_is_one_line(home: str, words: tuple[str, ...]) -> None:
    done = Clone(ROOT, Path(home)).plinth(*words)
    assert done.code == 2
    [problem] = [line for line in done.err.splitlines() if line.startswith("plinth: ")]
    assert f"{home} must be a folder that can be written, got" in problem


def test_a_full_disk_is_said_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: FULL)
    with pytest.raises(UserError, match="must have 32 MiB free, got 1"):
        environment.check_room(tmp_path, environment.ROOM_BYTES)
    environment.check_room(tmp_path, 0)


class FULL:
    """A disk with one MiB left."""

    free = 2**20


def test_a_file_is_written_whole_or_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    files.write(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as failed:
        files.write(path, b"new")
    assert failed.value.filename == str(path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


HOLDS = """
import sys, time
from pathlib import Path
from stacks.local.daemon import leases
act = leases.held if sys.argv[2] != leases.ALL else leases.held_all
names = [sys.argv[2]] if act is leases.held else []
with act(Path(sys.argv[1]), *names, wait=False, say=print):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(home: Path, name: str) -> "subprocess.Popen[str]":
    """Another process that holds a lease."""
    argv = [sys.executable, "-c", HOLDS, str(home), name]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize(
    ("theirs", "ours"), [(STACK, STACK), (leases.ALL, STACK), (STACK, leases.ALL)]
)
def test_who_comes_second_hears_who_holds_the_lease_and_may_wait(
    tmp_path: Path, theirs: str, ours: str
) -> None:
    def take(*, wait: bool) -> None:
        if ours == leases.ALL:
            with leases.held_all(tmp_path, wait=wait, say=say):
                pass
        else:
            with leases.held(tmp_path, ours, wait=wait, say=say):
                pass

    with holder(tmp_path, theirs) as first:
        with pytest.raises(UserError, match=rf"got another: process {first.pid} \(`plinth "):
            take(wait=False)
        waits = threading.Thread(target=take, kwargs={"wait": True})
        waits.start()
        time.sleep(0.3)
        assert waits.is_alive()
        first.kill()  # the kernel frees it
    waits.join(timeout=60)
    assert not waits.is_alive()


def test_different_stacks_are_changed_at_once(tmp_path: Path) -> None:
    with holder(tmp_path, "local.weather") as other:
        with leases.held(tmp_path, STACK, wait=False, say=say):
            said = json.loads((tmp_path / "local" / "leases" / f"{STACK}.json").read_text())
            assert said["pid"] == os.getpid()
        other.kill()
