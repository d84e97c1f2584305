"""The control plane alone: it schedules, evicts, refuses; it starts and ends without a trace."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local.kubernetes import nodes
from stacks.local.kubernetes.client import ApiError
from stacks.local.runtime.processes import Children
from stacks.toolchain import control_plane as toolchain
from tests.kits.kubernetes import (
    Kubernetes,
    control_plane,
    control_plane_binaries,
    pod,
    running_control_plane,
    until,
)

__all__ = ["control_plane", "control_plane_binaries"]


def test_a_pod_that_asks_for_gpus_runs_on_the_node_that_has_them(
    control_plane: Kubernetes,
) -> None:
    space = control_plane.namespace("gpus")
    control_plane.node("plain", "m5.large")
    control_plane.node(
        "accelerated", "p5.48xlarge", taints=[{"key": nodes.GPU, "effect": "NoSchedule"}]
    )
    control_plane.apply(pod("train", space, gpus=8))
    assert until(lambda: control_plane.pods(space)["train"]) == "accelerated"
    control_plane.apply(pod("more", space, gpus=1))
    assert "Insufficient nvidia.com/gpu" in until(
        lambda: control_plane.waiting_because(space, "more")
    )
    control_plane.remove_node("accelerated")
    control_plane.remove_node("plain")
    assert control_plane.list("v1", "Node") == []
    # the garbage collector waits 40 s for a node to come back, and looks every 20 s
    until(lambda: "train" not in control_plane.pods(space))


def test_pods_leave_a_node_that_is_not_ready(control_plane: Kubernetes) -> None:
    """Where no node is left, Kubernetes evicts nothing: it takes itself to be cut off."""
    space = control_plane.namespace("failure")
    control_plane.node("mortal", "m5.large")
    control_plane.apply(pod("watcher", space))
    until(lambda: control_plane.pods(space)["watcher"])
    control_plane.node("healthy", "m5.large")
    control_plane.fail_node("mortal")
    until(lambda: "watcher" not in control_plane.pods(space))
    control_plane.remove_node("mortal")
    control_plane.remove_node("healthy")


def test_a_bound_pod_runs_and_a_job_ends_only_when_it_is_told_after_how_long(
    control_plane: Kubernetes,
) -> None:
    space = control_plane.namespace("jobs")
    control_plane.node("worker", "m5.large")
    told = {"pod-complete.stage.kwok.x-k8s.io/delay": "100ms"}
    helper = {"name": "helper", "image": "example/helper:1"}
    starters = [helper, {**helper, "name": "side", "restartPolicy": "Always"}]

    def job(name: str, annotations: dict[str, str]) -> dict[str, Any]:
        template = pod(name, space, cpu="100m", restartPolicy="Never", initContainers=starters)
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": space},
            "spec": {
                "template": {"metadata": {"annotations": annotations}, "spec": template["spec"]}
            },
        }

    def status(name: str) -> dict[str, Any]:
        found = control_plane.get("batch/v1", "Job", name, space)
        assert found is not None
        held: dict[str, Any] = found["status"]
        return held

    control_plane.apply(job("ends", told), job("runs", {}))
    until(lambda: status("ends").get("succeeded") == 1)
    until(lambda: status("runs").get("ready") == 1)
    phases = {
        item["metadata"]["labels"]["job-name"]: item["status"]["phase"]
        for item in control_plane.list("v1", "Pod", space)
    }
    assert phases == {"ends": "Succeeded", "runs": "Running"}
    control_plane.delete("batch/v1", "Job", "runs", space)
    until(lambda: control_plane.get("batch/v1", "Job", "runs", space) is None)
    control_plane.remove_node("worker")


def test_a_field_that_does_not_exist_is_refused(control_plane: Kubernetes) -> None:
    wrong = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default"},
    }
    with pytest.raises(ApiError, match="dta"):
        control_plane.apply({**wrong, "dta": {}})


def test_two_control_planes_run_side_by_side_and_leave_nothing(
    tmp_path: Path, control_plane: Kubernetes, control_plane_binaries: toolchain.Kubernetes
) -> None:
    with running_control_plane(tmp_path, control_plane_binaries) as other:
        assert other.plane.url != control_plane.plane.url
        other.namespace("only-here")
        assert control_plane.get("v1", "Namespace", "only-here") is None
        pids = [process.pid for process in other.plane.processes.values()]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_later_cloud_ends_what_a_killed_one_left(
    tmp_path: Path, control_plane_binaries: toolchain.Kubernetes
) -> None:
    from stacks.local.kubernetes import control_plane as planes

    folder = tmp_path / "run"
    plane = planes.start(tmp_path / "kubernetes", Children(folder=folder), control_plane_binaries)
    assert len(Children(folder=folder).reap()) == len(plane.processes) == 5
    assert all(process.wait(5) is not None for process in plane.processes.values())


def test_an_instance_type_has_the_resources_that_ec2_says() -> None:
    big = nodes.node("big", "p5.48xlarge", efa_interfaces=32)["status"]["capacity"]
    assert big["cpu"] == "192"
    assert (big[nodes.GPU], big[nodes.EFA], big["pods"]) == ("8", "32", "100")
    small = nodes.node("small", "m5.large")["status"]
    assert small["capacity"]["pods"] == "29"
    assert small["allocatable"]["cpu"] == "1930m"
    assert nodes.GPU not in small["capacity"]
    assert nodes.NEURON in nodes.node("inferentia", "inf2.xlarge")["status"]["capacity"]


def test_a_plain_image_advertises_no_gpus() -> None:
    [plain] = nodes.manifests(
        nodes.Group(name="g", count=1, instance_type="g5.xlarge", zones=("us-east-1a",))
    )
    assert nodes.GPU not in plain["status"]["capacity"]


@pytest.mark.parametrize(
    ("version", "origin"), [("v1.34.2", "PATH"), ("v1.35.0", "PATH"), ("v1.33.9", None)]
)
def test_programs_on_the_path_are_used_when_they_are_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, origin: str | None
) -> None:
    for name in (*toolchain.PROGRAMS, "kwok"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho Kubernetes {version}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PLINTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    found = toolchain.find()
    assert (found and found.origin) == origin
    (tmp_path / "kwok").unlink()
    assert toolchain.find() is None
