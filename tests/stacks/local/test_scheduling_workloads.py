"""The workloads that we offer on Kubernetes, on a real control plane under a team's quotas."""

from functools import partial
from typing import Any

import pytest

from stacks.local.kubernetes.client import ApiError
from stacks.local.kubernetes.nodes import POD
from tests.kits.kubernetes import Kubernetes, control_plane, control_plane_binaries, until
from tests.kits.scheduling import (
    LLM,
    RAY,
    TEAMS,
    Manifest,
    gpu_node,
    manifests,
    named_objects,
    platform,
    validated,
    workloads,
)

__all__ = ["control_plane", "control_plane_binaries"]

CHAT = {**LLM, "gpus": 2, "replicas": 2}
"""Takes the whole share of its team: four GPUs."""


@pytest.fixture(scope="module")
def chat() -> list[Manifest]:
    """The objects of a served model."""
    return named_objects(validated(llm_kubernetes={"chat": CHAT}), "chat")


@pytest.fixture(scope="module")
def cluster(control_plane: Kubernetes, chat: list[Manifest]) -> Kubernetes:
    """Two GPU nodes and a served model."""
    control_plane.apply(*manifests(platform()))
    for team in TEAMS:
        until(partial(control_plane.get, "v1", "ServiceAccount", "default", team))
    for name in ("gpu-1", "gpu-2"):
        gpu_node(control_plane, name)
    control_plane.apply(*chat)
    until(lambda: ready(control_plane, generation=1) == 2)
    return control_plane


def ready(cluster: Kubernetes, *, generation: int) -> int:
    """Replicas of this generation that answer, once there is none of another."""
    found = cluster.get("apps/v1", "Deployment", "chat", "serving")
    status = found["status"] if found else {}
    if status.get("observedGeneration", 0) < generation:
        return 0
    replicas, updated, answering = (
        int(status.get(key, 0)) for key in ("replicas", "updatedReplicas", "readyReplicas")
    )
    return updated if replicas == updated == answering else 0


def evict(cluster: Kubernetes, name: str) -> None:
    cluster.client.request(
        "POST",
        POD.path("serving", f"{name}/eviction"),
        content={
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": "serving"},
        },
    )


def test_every_replica_of_a_model_has_its_gpus(cluster: Kubernetes) -> None:
    placed = cluster.pods("serving")
    assert len(placed) == 2
    assert set(placed.values()) <= {"gpu-1", "gpu-2"}
    quota = cluster.get("v1", "ResourceQuota", "guaranteed", "serving")
    assert quota is not None
    assert quota["status"]["used"] == {"requests.nvidia.com/gpu": "4"}


def test_a_new_version_replaces_the_old_one_within_the_same_gpus(
    cluster: Kubernetes, chat: list[Manifest]
) -> None:
    """The quota is full: a surge would wait for GPUs that never come."""
    before = set(cluster.pods("serving"))
    [deployment] = [item for item in chat if item["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["args"] = [*container["args"], "--max-model-len=4096"]
    cluster.apply(deployment)
    until(lambda: ready(cluster, generation=2) == 2)
    assert set(cluster.pods("serving")) & before == set()


def test_a_drain_takes_one_replica_at_a_time(cluster: Kubernetes) -> None:
    until(lambda: len(cluster.pods("serving")) == 2)
    until(lambda: _allowed(cluster) == 1)
    for name in ("gpu-1", "gpu-2"):  # nowhere to come back to
        cluster.client.patch(
            cluster.kind("v1", "Node"), None, name, {"spec": {"unschedulable": True}}
        )
    first, second = cluster.pods("serving")
    evict(cluster, first)
    with pytest.raises(ApiError, match="violate the pod's disruption budget"):
        evict(cluster, second)
    for name in ("gpu-1", "gpu-2"):
        cluster.client.patch(
            cluster.kind("v1", "Node"), None, name, {"spec": {"unschedulable": None}}
        )


def _allowed(cluster: Kubernetes) -> int:
    budget = cluster.get("policy/v1", "PodDisruptionBudget", "chat", "serving")
    allowed: int = (budget or {}).get("status", {}).get("disruptionsAllowed", 0)
    return allowed


def test_head_and_workers_of_ray_pass_every_guardrail(cluster: Kubernetes) -> None:
    [ray] = workloads("RayCluster", ray=RAY)
    [workers] = ray["spec"]["workerGroupSpecs"]
    found: dict[str, Any] = {"head": ray["spec"]["headGroupSpec"], "worker": workers}
    for name, group in found.items():
        template = group["template"]
        metadata = {**template["metadata"], "name": name, "namespace": "research"}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata})
    assert until(lambda: cluster.pods("research")["worker"]) in ("gpu-1", "gpu-2")
    why = until(lambda: cluster.waiting_because("research", "head"))
    assert "untolerated taint" in why  # it never takes a place on a GPU node
