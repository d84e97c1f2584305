"""What a `kill -9` in the middle of `up` leaves behind, and that the next `up` mends it."""

import contextlib
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stacks.local.daemon import environment
from tests.conftest import GOLDEN, Clone, copy_checkout

pytestmark = pytest.mark.e2e


@pytest.fixture
def fresh(tmp_path: Path, pulumi_cli: Path) -> Iterator[Clone]:
    copy_checkout(tmp_path / "clone")
    made = Clone(tmp_path / "clone", tmp_path / "home")
    yield made
    made.plinth("destroy", "local", "--yes")
    for process in made.processes():
        process.kill()


def cloud_pid(clone: Clone) -> int:
    return int(json.loads((clone.home / "local" / "cloud.json").read_text())["pid"])


def vpcs(clone: Clone) -> int:
    found = clone.client("ec2").describe_vpcs()["Vpcs"]
    return sum(not vpc["IsDefault"] for vpc in found)


def created(clone: Clone) -> Counter[str]:
    """How many there are of things that AWS names itself, so that a double goes unnoticed."""
    ec2, kms = clone.client("ec2"), clone.client("kms")
    keys = [key["KeyId"] for key in kms.list_keys()["Keys"]]
    states = [kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys]
    return Counter(
        vpcs=vpcs(clone),
        subnets=sum(
            "plinth" in str(subnet.get("Tags")) for subnet in ec2.describe_subnets()["Subnets"]
        ),
        endpoints=sum(
            endpoint["State"] != "deleted"
            for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        ),
        groups=sum(
            group["GroupName"] != "default"
            for group in ec2.describe_security_groups()["SecurityGroups"]
        ),
        keys=states.count("Enabled"),
    )


ACCEPTED = Counter(
    line.split()[0] for line in (GOLDEN / "stacks" / "local.txt").read_text().splitlines()
)
EXPECTED = Counter(
    vpcs=ACCEPTED["aws:ec2/vpc:Vpc"],
    subnets=ACCEPTED["aws:ec2/subnet:Subnet"],
    endpoints=ACCEPTED["aws:ec2/vpcEndpoint:VpcEndpoint"],
    groups=ACCEPTED["aws:ec2/securityGroup:SecurityGroup"],
    keys=ACCEPTED["aws:kms/key:Key"],
)


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to the point at which to kill"
        time.sleep(0.02)


def half_way(clone: Clone) -> Callable[[], bool]:
    def holds() -> bool:
        try:
            return vpcs(clone) > 0
        except Exception:  # noqa: BLE001 the cloud is not up yet
            return False

    return holds


def engine_of(clone: Clone) -> psutil.Process | None:
    for process in clone.processes():
        with contextlib.suppress(psutil.Error):
            if process.name() == "pulumi" and "up" in process.cmdline():
                return process
    return None


def test_what_a_killed_engine_wrote_half_is_removed_and_nothing_else(tmp_path: Path) -> None:
    torn = [tmp_path / name for name in ("local.json.attrs", "local.json.18ea.tmp")]
    whole = [tmp_path / name for name in ("local.json", "local.json.bak", "local.json.bak.attrs")]
    for path in torn:
        path.write_text("")
    for path in whole:
        path.write_text('{"version": 3}')
    environment.remove_torn_files(tmp_path)
    assert set(tmp_path.iterdir()) == set(whole)


def test_a_killed_command_line_leaves_nothing_that_the_next_up_does_not_mend(fresh: Clone) -> None:
    started = fresh.start("up", "local")
    wait_until(half_way(fresh))
    started.send_signal(signal.SIGKILL)
    started.communicate()
    fresh.ok("up", "local")
    assert created(fresh) == EXPECTED
    assert {k for k, n in fresh.ok("up", "local")["changes"].items() if n} == {"same"}


def test_a_killed_engine_leaves_nothing_that_the_next_up_does_not_mend(fresh: Clone) -> None:
    started = fresh.start("up", "local")
    wait_until(half_way(fresh))
    engine = engine_of(fresh)
    assert engine is not None
    engine.kill()
    started.communicate(timeout=60)
    assert started.returncode != 0
    done = fresh.plinth("up", "local", "--json")
    assert done.code == 0, done.err
    assert "cleared the lock" in done.err
    assert created(fresh) == EXPECTED
    assert {k for k, n in fresh.ok("up", "local")["changes"].items() if n} == {"same"}


def test_a_killed_cloud_is_replaced_and_the_stack_starts_anew(fresh: Clone) -> None:
    started = fresh.start("up", "local")
    wait_until(half_way(fresh))
    os.kill(cloud_pid(fresh), signal.SIGKILL)
    started.communicate(timeout=120)
    done = fresh.plinth("up", "local", "--json")
    assert done.code == 0, done.err
    assert "starting anew" in done.err
    assert created(fresh) == EXPECTED
    assert {k for k, n in fresh.ok("up", "local")["changes"].items() if n} == {"same"}


def test_a_port_in_use_is_reported_with_its_owner(fresh: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fresh.plinth("up", "local", "--port", str(port))
    assert done.code == 2
    assert str(port) in done.err
    assert str(os.getpid()) in done.err


def test_a_second_up_at_the_same_time_is_refused_by_name(fresh: Clone) -> None:
    started = fresh.start("up", "local")
    wait_until(lambda: engine_of(fresh) is not None and any(fresh.home.rglob("locks/**/*.json")))
    second = fresh.plinth("up", "local")
    started.communicate(timeout=120)
    assert started.returncode == 0
    assert second.code == 2
    assert "twice at once" in second.err


def test_two_environments_live_side_by_side(fresh: Clone, tmp_path: Path) -> None:
    other = Clone(fresh.root, tmp_path / "other")
    try:
        one, two = fresh.ok("up", "local"), other.ok("up", "local")
        assert one["changes"] == two["changes"]
        urls = {clone.ok("status", "local")["endpoint_url"] for clone in (fresh, other)}
        assert len(urls) == 2
    finally:
        other.plinth("destroy", "local", "--yes")


def test_destroy_in_the_middle_of_a_run_and_after_a_kill_leaves_no_process(fresh: Clone) -> None:
    fresh.ok("up", "local")
    name = "plinth-local-training"
    fresh.client("sagemaker").start_pipeline_execution(PipelineName=name)
    started = fresh.start("up", "local")
    wait_until(lambda: engine_of(fresh) is not None)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    fresh.ok("destroy", "local", "--yes")
    wait_until(lambda: fresh.processes() == [], seconds=5)
    assert not (fresh.home / "local" / "cloud.json").exists()
