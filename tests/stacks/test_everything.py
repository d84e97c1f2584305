"""Every component at once on one machine: deployed, unchanged by a second update, and gone."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import Clone
from tests.kits.kubernetes import control_plane_binaries  # noqa: F401 the fixture
from tests.kits.path import not_same, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.nightly]

IMAGES = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
EVERYTHING: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "foundation": {
        "network": {"nat_gateways": "one-per-az"},
        "filesystem": {"availability_zone_id": "use1-az6"},
        "spark": {},
        "kafka": {},
    },
    "cluster": {
        "ray": {
            "team": "research",
            "pool": "gpu-inference",
            "priority": "training",
            "image": f"{IMAGES}/ray@sha256:" + "0" * 64,
            "ray_version": "2.51.0",
        },
        "llm_kubernetes": {
            "assistant": {
                "team": "serving",
                "pool": "gpu-inference",
                "image": f"{IMAGES}/vllm@sha256:" + "0" * 64,
                "model_path": "llm/small",
            }
        },
    },
    "flight_delay": {
        "feast": {"cache": {"node_type": "cache.t4g.medium"}},
        "pods": {"team": "serving", "service_account": "scorer"},
    },
}
"""What `local` leaves out by default, by stack, besides what its cloud refuses by name: an endpoint
with inference components, and a second tracking server."""


def switch_on(root: Path) -> None:
    """Add what is off to the environment's files."""
    yaml = YAML()
    for layer, parts in EVERYTHING.items():
        path = root / "stacks" / "environments" / f"Pulumi.local.{layer}.yaml"
        document = yaml.load(path.read_text())
        for name, values in parts.items():
            document["config"].setdefault(f"plinth:{name}", {}).update(values)
        with path.open("w") as stream:
            yaml.dump(document, stream)


@pytest.fixture(scope="module")
def seconds() -> Iterator[dict[str, float]]:
    """What each operation took; printed, never asserted."""
    taken: dict[str, float] = {}
    yield taken
    print({name: round(value, 1) for name, value in taken.items()})  # noqa: T201


@pytest.fixture(scope="module")
def deployed(
    clone: Clone,
    seconds: dict[str, float],
    control_plane_binaries: object,  # noqa: F811
) -> dict[str, Any]:
    switch_on(clone.root)
    started = time.perf_counter()
    result = clone.ok("up", "local")
    seconds["up"] = time.perf_counter() - started
    return result


def test_the_whole_platform_deploys_behind_its_policies(deployed: dict[str, Any]) -> None:
    assert deployed["changes"]["create"] >= 150
    assert deployed["policy"]["mandatory"] == 0


def test_a_second_deployment_of_everything_changes_nothing(
    clone: Clone, deployed: dict[str, Any], seconds: dict[str, float]
) -> None:
    started = time.perf_counter()
    again = clone.ok("up", "local")
    seconds["second up"] = time.perf_counter() - started
    assert not_same(again) == {}
    assert again["changes"]["same"] == deployed["changes"]["create"]


def test_its_kubernetes_objects_are_on_a_real_server(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    status = clone.ok("status", "local")
    assert status["kubernetes"].startswith("https://127.0.0.1:")
    assert any("RayCluster" in name for name in status["not_reconciled"])


def test_a_cluster_that_runs_a_workload_is_not_destroyed(
    clone: Clone, deployed: dict[str, Any]
) -> None:
    done = clone.plinth("destroy", "local.cluster", "--yes")
    assert done.code == 2
    assert "must carry no other stack to be destroyed, got local.flight_delay" in done.err


def test_nothing_of_everything_is_left(
    clone: Clone, deployed: dict[str, Any], seconds: dict[str, float]
) -> None:
    started = time.perf_counter()
    gone = clone.ok("destroy", "local", "--yes")
    seconds["destroy"] = time.perf_counter() - started
    assert gone["left"] == []
    assert gone["changes"]["delete"] == deployed["changes"]["create"]
    wait_until(lambda: clone.processes() == [])
