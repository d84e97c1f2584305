"""What a `kill -9` in the middle of `up` leaves behind, and that the next `up` mends it."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stacks.local.daemon import client as daemon
from stacks.local.daemon import environment, killed_engines, state_files
from tests.conftest import Clone, copy_checkout
from tests.kits.made import EXPECTED, created, vpcs
from tests.kits.path import engine_of, not_same, wait_until

pytestmark = pytest.mark.e2e

FOUNDATION = "local.foundation"
"""The stack that makes everything of which a double would go unnoticed."""


@pytest.fixture
def fresh(tmp_path: Path, pulumi_cli: Path) -> Iterator[Clone]:
    copy_checkout(tmp_path / "clone")
    made = Clone(tmp_path / "clone", tmp_path / "home")
    yield made
    made.end()


def cloud_pid(clone: Clone) -> int:
    return int(json.loads((clone.home / "local" / "cloud.json").read_text())["pid"])


def half_way(clone: Clone) -> Callable[[], bool]:
    def holds() -> bool:
        try:
            return vpcs(clone) > 0
        except Exception:  # noqa: BLE001 the cloud is not up yet
            return False

    return holds


def test_what_a_killed_engine_wrote_half_is_removed_and_nothing_else(tmp_path: Path) -> None:
    torn = ["local.weather.json.attrs", "local.weather.json.18ea.tmp", "meta.yaml.attrs"]
    whole = ["local.weather.json", "local.weather.json.bak", "local.weather.json.bak.attrs"]
    of_others = ["local.weather_alerts.json.22b1.tmp", "local.cluster.json.90aa.tmp"]
    for name in (*torn, *of_others):
        (tmp_path / name).write_text("")
    for name in whole:
        (tmp_path / name).write_text('{"version": 3}')
    killed_engines.remove_torn_files(tmp_path, "local.weather")
    assert {path.name for path in tmp_path.iterdir()} == {*whole, *of_others}


def test_commands_that_start_at_once_put_aside_the_state_of_a_lost_cloud_once(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    state = state_files.state_folder(tmp_path)
    state.mkdir(parents=True)
    (state / "old").touch()
    (tmp_path / "local" / "state-of-cloud").write_text("another")
    try:
        with ThreadPoolExecutor(4) as pool:
            started = [
                pool.submit(environment.start, tmp_path, None, said.append) for _ in range(4)
            ]
            clouds = {done.result().cloud.cloud_id for done in started}
            (state / "new").touch()
        environment.start(tmp_path, None, said.append)
    finally:
        daemon.stop(tmp_path)
    assert len(clouds) == 1
    assert sum("starting anew" in line for line in said) == 1
    assert [path.name for path in state.iterdir()] == ["new"]
    assert [path.name for path in state.with_name("state-of-a-lost-cloud").iterdir()] == ["old"]


@pytest.mark.nightly
def test_a_killed_command_line_leaves_nothing_that_the_next_up_does_not_mend(fresh: Clone) -> None:
    started = fresh.start("up", FOUNDATION)
    wait_until(half_way(fresh), by=started)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    fresh.ok("up", FOUNDATION)
    assert created(fresh) == EXPECTED
    assert not_same(fresh.ok("preview", FOUNDATION)) == {}


def test_a_killed_engine_leaves_nothing_that_the_next_up_does_not_mend(fresh: Clone) -> None:
    started = fresh.start("up", FOUNDATION)
    wait_until(half_way(fresh), by=started)
    engine = engine_of(fresh)
    assert engine is not None
    engine.kill()
    started.communicate()
    assert started.returncode == 1
    done = fresh.plinth("up", FOUNDATION, "--json")
    assert done.code == 0, done.err
    assert "cleared the lock" in done.err
    assert created(fresh) == EXPECTED
    assert not_same(fresh.ok("preview", FOUNDATION)) == {}


def made(clone: Clone, least: int) -> Callable[[], bool]:
    """Whether the provider has made so many resources."""

    def holds() -> bool:
        ledger = clone.home / "local" / "ledger.json"
        return ledger.exists() and len(json.loads(ledger.read_text())) >= least

    return holds


@pytest.mark.parametrize(
    "least", [*(pytest.param(n, marks=pytest.mark.nightly) for n in (5, 60)), 130]
)
def test_a_killed_cloud_goes_on_with_its_data_and_the_next_up_mends_the_rest(
    fresh: Clone, least: int
) -> None:
    started = fresh.start("up", FOUNDATION)
    wait_until(made(fresh, least), by=started)
    os.kill(cloud_pid(fresh), signal.SIGKILL)
    started.communicate()
    assert started.returncode != 0
    done = fresh.plinth("up", FOUNDATION, "--json")
    assert done.code == 0, done.err
    assert "has its data of" in done.err or least == 5
    assert created(fresh) == EXPECTED
    assert not_same(fresh.ok("preview", FOUNDATION)) == {}


def test_a_cloud_that_is_killed_between_two_updates_changes_nothing_and_one_that_is_reset_all(
    fresh: Clone,
) -> None:
    fresh.ok("up", FOUNDATION)
    os.kill(cloud_pid(fresh), signal.SIGKILL)
    assert not_same(fresh.ok("up", FOUNDATION)) == {}
    assert created(fresh) == EXPECTED
    fresh.ok("reset", "local", "--yes")
    assert fresh.processes() == []
    assert fresh.ok("up", FOUNDATION)["changes"]["create"] > 100
    assert created(fresh) == EXPECTED


def test_a_port_in_use_is_reported_with_its_owner(fresh: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fresh.plinth("up", "local", "--port", str(port))
    assert done.code == 2
    assert str(port) in done.err
    assert str(os.getpid()) in done.err


def test_a_second_up_at_the_same_time_is_refused_by_name(fresh: Clone) -> None:
    started = fresh.start("up", FOUNDATION)
    wait_until(
        lambda: engine_of(fresh) is not None and any(fresh.home.rglob("locks/**/*.json")),
        by=started,
    )
    second = fresh.plinth("up", "local")
    started.communicate()
    assert started.returncode == 0
    assert second.code == 2
    assert "stack local.foundation must be changed by one command at a time, got" in second.err
    assert f"process {started.pid} (`plinth up local.foundation`)" in second.err
    assert "local.weather was left alone: it needs local.foundation" in second.err


@pytest.mark.parametrize("name", ["local.flight_delay", "local.cluster"])
def test_a_layer_without_what_it_stands_on_says_what_to_deploy_first(
    fresh: Clone, name: str
) -> None:
    done = fresh.plinth("up", name)
    assert done.code == 2
    assert "deploy local.foundation first" in done.err
    assert "Traceback" not in done.err


@pytest.mark.nightly
def test_two_environments_live_side_by_side(fresh: Clone, tmp_path: Path) -> None:
    other = Clone(fresh.root, tmp_path / "other")
    try:
        one, two = fresh.ok("up", FOUNDATION), other.ok("up", FOUNDATION)
        assert one["changes"] == two["changes"]
        urls = {clone.ok("status", "local")["endpoint_url"] for clone in (fresh, other)}
        assert len(urls) == 2
    finally:
        other.end()


@pytest.mark.nightly
def test_destroy_in_the_middle_of_a_run_and_after_a_kill_leaves_no_process(fresh: Clone) -> None:
    fresh.ok("up", FOUNDATION)
    fresh.ok("up", "local.flight_delay")
    name = "plinth-local-flight-delay-training"
    fresh.client("sagemaker").start_pipeline_execution(PipelineName=name)
    started = fresh.start("up", "local.flight_delay")
    wait_until(lambda: engine_of(fresh) is not None, by=started)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    fresh.ok("destroy", "local", "--yes")
    wait_until(lambda: fresh.processes() == [])
    assert not (fresh.home / "local" / "cloud.json").exists()
