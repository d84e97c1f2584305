"""A cluster with teams for the scheduling tests: what its stack registers, as manifests."""

from typing import Any

import pulumi

from infra.component import ComponentArgs
from infra.naming import POOL_LABEL, TEAM_LABEL
from policies.data import Resource
from stacks.composition.scheduling import build_teams
from stacks.settings.compute import GpuPool
from stacks.settings.load import load_cluster
from stacks.settings.model import ClusterSettings
from stacks.settings.scheduling import Team
from stacks.synth import recorded
from tests.kits.kubernetes import Kubernetes
from tests.kits.stacks import synth

Manifest = dict[str, Any]

STACK = "prod.cluster"
IMAGE = f"333333333333.dkr.ecr.us-east-1.amazonaws.com/plinth-prod-workload@sha256:{'0' * 64}"
POOL = "gpu-training"
GPU_TAINTS = [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]

TEAMS: dict[str, dict[str, Any]] = {
    "research": {
        "nominal_gpus": {POOL: 8},
        "borrowing_gpus": {POOL: 4},
        "priorities": ["training", "experimentation"],
    },
    "serving": {"nominal_gpus": {POOL: 4}, "priorities": ["inference"]},
    "vision": {
        "nominal_gpus": {POOL: 4},
        "borrowing_gpus": {POOL: 8},
        "priorities": ["training", "fine-tuning"],
    },
}
"""Together they own the 16 GPUs of the pool's two nodes."""


def platform(teams: dict[str, dict[str, Any]] | None = None, **changes: Any) -> ClusterSettings:
    """The cluster of production with these teams on one pool of two nodes with eight GPUs each."""
    scaling = {"min_size": 0, "desired_size": 0, "max_size": 2}
    pool = GpuPool.model_validate({"instance_type": "p5.48xlarge", "scaling": scaling})
    found = {name: Team.model_validate(team) for name, team in (teams or TEAMS).items()}
    given = {"gpu_pools": {POOL: pool}, "teams": found, **changes}
    return load_cluster("prod").model_copy(update=given)


def registered(settings: ClusterSettings) -> list[Resource]:
    """What the program registers for the teams of these settings."""
    common = ComponentArgs(names=settings.names, tags={})
    return [
        item
        for item in recorded(lambda: build_teams(common, settings, pulumi.ResourceOptions()))
        if item.type.startswith("kubernetes:")
    ]


def manifests(settings: ClusterSettings) -> list[Manifest]:
    """The objects that an API server without further definitions has, namespaces first."""
    found: list[Manifest] = [
        item.inputs.value
        for item in registered(settings)
        if not item.type.startswith(("kubernetes:helm", "kubernetes:kueue"))
    ]
    return sorted(found, key=lambda item: item["kind"] != "Namespace")


LLM: dict[str, Any] = {"team": "serving", "pool": POOL, "image": IMAGE, "model_path": "llm/small"}
RAY: dict[str, Any] = {
    "team": "research",
    "pool": POOL,
    "priority": "training",
    "image": IMAGE,
    "ray_version": "2.51.0",
}


def validated(**changes: Any) -> ClusterSettings:
    """The cluster's settings with these parts, judged as if they came from a file."""
    return ClusterSettings.model_validate({**platform().model_dump(), **changes})


def named_objects(settings: ClusterSettings, name: str) -> list[Manifest]:
    """Kubernetes objects of this name that the whole stack registers, accounts first."""
    found = (item.inputs.value for item in synth(STACK, settings))
    ours = [item for item in found if (item.get("metadata") or {}).get("name") == name]
    return sorted(ours, key=lambda item: item["kind"] != "ServiceAccount")


def workloads(kind: str, **changes: Any) -> list[Manifest]:
    """Objects of a kind that the whole stack registers for these settings."""
    found = synth(STACK, validated(**changes))
    return [item.inputs.value for item in found if item.inputs.value.get("kind") == kind]


def pod_spec(
    *, gpus: int = 0, priority: str | None = None, image: str = IMAGE, **changes: Any
) -> Manifest:
    """A pod that passes Pod Security's standard `restricted`."""
    container: Manifest = {
        "name": "main",
        "image": image,
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if gpus:
        container["resources"]["limits"] = {"nvidia.com/gpu": str(gpus)}
    named = {"priorityClassName": priority} if priority else {}
    return {"containers": [container], "terminationGracePeriodSeconds": 1, **named, **changes}


def pod(team: str, name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """A pod of a team, labelled as its own."""
    marks = {TEAM_LABEL: team} if labels is None else labels
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": team, "labels": marks},
        "spec": pod_spec(**spec),
    }


def job(team: str, name: str, **spec: Any) -> Manifest:
    """A job of one pod that never ends."""
    template = {
        "metadata": {"labels": {TEAM_LABEL: team}},
        "spec": {"restartPolicy": "Never", **pod_spec(**spec)},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": team, "labels": {TEAM_LABEL: team}},
        "spec": {"backoffLimit": 100, "template": template},
    }


def gpu_node(cluster: Kubernetes, name: str) -> None:
    """A node of the pool, as its node group labels and taints it."""
    cluster.node(name, "p5.48xlarge", labels={POOL_LABEL: POOL}, taints=GPU_TAINTS)
