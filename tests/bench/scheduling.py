"""A drill of the scheduler: GPU nodes full of two teams' work, then the share of a third is called.

    python tests/bench/scheduling.py [--nodes 500] [--pods 5000] [--json]

A real API server, controller manager and scheduler; the nodes are simulated, eight H100 each.
Quotas, priorities and guardrails are those that our program registers. Two teams fill every GPU, a
part of it borrowed from a third; then the third asks for its share, which the borrowers lose to
preemption. The scheduler tries a sample of the nodes (DefaultPreemptionArgs: 10 %, at least 100),
so among 500 it may miss the last borrowers and take a pod that is in its own share; such pods are
created again, as their jobs would, and take the borrowed GPUs that are left.
"""

import argparse
import http.client
import json
import logging
import ssl
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pulumi

from infra.component import ComponentArgs
from infra.naming import GPU_RESOURCE, POOL_LABEL, TEAM_LABEL
from stacks.composition.scheduling import build_teams
from stacks.local.kubernetes import control_plane, nodes
from stacks.local.kubernetes.client import ApiError, Client, Object
from stacks.local.runtime.processes import Children
from stacks.settings.load import load_cluster
from stacks.settings.model import ClusterSettings
from stacks.synth import recorded
from stacks.toolchain.control_plane import ensure

POOL = "gpu-training"
INSTANCE_TYPE, GPUS = "p5.48xlarge", 8
THREADS = 64
"""Creating at once: the server decides about all pods that wait for one quota together."""

LIMIT_SECONDS = 900
RETRY_SECONDS = 0.5
POLL_SECONDS = 0.5
OVERLOADED = (409, 429, 500, 503, 504)
"""Answers of an API server that lacks time, such as to agree on what a quota has left."""

TAINT = {"key": GPU_RESOURCE, "value": "true", "effect": "NoSchedule"}


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many pods of one GPU come with a priority class from a team."""

    team: str
    priority: str
    pods: int
    first: int = 0
    """Number of the first pod. Default: 0."""


@dataclass
class Binding:
    """When a watch saw each pod get its node."""

    at: dict[str, float] = field(default_factory=dict)
    over: bool = False

    def follow(self, plane: control_plane.ControlPlane) -> None:
        """Read events of pods that have a node; a watch that ends is begun again."""
        request = urllib.request.Request(
            f"{plane.url}/api/v1/pods?watch=1&fieldSelector=spec.nodeName%21%3D",
            headers={
                "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                "Authorization": f"Bearer {plane.token}",
            },
        )
        context = ssl.create_default_context(cadata=plane.ca)
        while not self.over:
            try:
                with urllib.request.urlopen(request, context=context) as stream:
                    for line in stream:
                        name = json.loads(line)["object"]["metadata"].get("name")
                        self.at.setdefault(name, time.perf_counter())
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(RETRY_SECONDS)


def platform(node_count: int, pods: int) -> tuple[ClusterSettings, list[list[Load]]]:
    """Settings with three teams that own all GPUs, and what comes in which phase."""
    gpus = node_count * GPUS
    called = pods - gpus
    own, borrowed = (gpus - called) // 2, called // 2
    teams: dict[str, Any] = {
        team: {
            "nominal_gpus": {POOL: own},
            "borrowing_gpus": {POOL: borrowed},
            "priorities": ["training"],
            "cpu": gpus,
            "max_pods": pods,
        }
        for team in ("research", "vision")
    }
    teams["serving"] = {
        "nominal_gpus": {POOL: called},
        "priorities": ["inference"],
        "cpu": gpus,
        "max_pods": pods,
    }
    scaling = {"min_size": 0, "desired_size": 0, "max_size": node_count}
    pools = {POOL: {"instance_type": INSTANCE_TYPE, "scaling": scaling}}
    base = load_cluster("prod").model_dump()
    fill = [
        Load(team=team, priority=priority, pods=count)
        for team in ("research", "vision")
        for priority, count in (("training", own), ("training-borrowed", borrowed))
    ]
    settings = ClusterSettings.model_validate({**base, "gpu_pools": pools, "teams": teams})
    return settings, [fill, [Load(team="serving", priority="inference", pods=called)]]


def objects(settings: ClusterSettings) -> list[Object]:
    """What the program registers for the teams, as manifests, namespaces first."""
    common = ComponentArgs(names=settings.names, tags={})
    found: list[Object] = [
        item.inputs.value
        for item in recorded(lambda: build_teams(common, settings, pulumi.ResourceOptions()))
        if item.type.startswith("kubernetes:") and not item.type.startswith(CUSTOM)
    ]
    return sorted(found, key=lambda item: item["kind"] != "Namespace")


CUSTOM = ("kubernetes:helm", "kubernetes:kueue")


def pod(load: Load, index: int, image: str) -> Object:
    """A pod that passes the guardrails."""
    container = {
        "name": "main",
        "image": image,
        "resources": {
            "requests": {"cpu": "1", "memory": "64Mi"},
            "limits": {GPU_RESOURCE: "1"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{load.team}-{load.priority}-{index}",
            "namespace": load.team,
            "labels": {TEAM_LABEL: load.team},
        },
        "spec": {
            "priorityClassName": load.priority,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }


def wait(condition: Any, what: str) -> None:
    deadline = time.perf_counter() + LIMIT_SECONDS
    while not condition():
        if time.perf_counter() > deadline:
            sys.exit(f"{what}: not within {LIMIT_SECONDS} s")
        time.sleep(POLL_SECONDS)


def phase(client: Client, binding: Binding, loads: Iterable[Load], image: str) -> dict[str, Any]:
    """Create pods and wait until each has a node; the figures."""
    asked: dict[str, float] = {}
    refusals: list[ApiError] = []

    def create(item: Object) -> None:
        """As a controller does: again where the server had no time for it."""
        asked[item["metadata"]["name"]] = time.perf_counter()
        while True:
            try:
                client.create(nodes.POD, item)
                return
            except ApiError as error:
                if error.reason == "AlreadyExists":
                    return
                if error.status not in OVERLOADED:
                    raise
                refusals.append(error)
                time.sleep(RETRY_SECONDS)

    items = [pod(load, load.first + index, image) for load in loads for index in range(load.pods)]
    items.sort(key=lambda item: int(item["metadata"]["name"].rpartition("-")[2]))  # teams in turn
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(create, items))
    created = time.perf_counter()
    wait(lambda: all(name in binding.at for name in asked), f"{len(items)} pods on nodes")
    ended = max(binding.at[name] for name in asked)
    waits = [binding.at[name] - at for name, at in asked.items()]
    cuts = statistics.quantiles(waits * 2, n=100)  # one alone has no quantiles
    figures = {
        "pods": len(items),
        "create_s": round(created - started, 1),
        "retries": len(refusals),
        "all_bound_s": round(ended - started, 1),
        "pods_per_s": round(len(items) / (ended - started), 1),
        "bind_p50_s": round(cuts[49], 2),
        "bind_p99_s": round(cuts[98], 2),
    }
    print(f"{len(items)} pods on nodes: {figures}", file=sys.stderr)
    return figures


def prepare(client: Client, settings: ClusterSettings, node_count: int) -> None:
    """The teams, then the nodes; ready when pods can be created."""
    for item in objects(settings):
        kind = client.kind(item["apiVersion"], item["kind"])
        assert kind is not None, f"the server has no {item['apiVersion']} {item['kind']}"
        client.apply(kind, item)
    made = [
        nodes.node(f"gpu-{index}", INSTANCE_TYPE, labels={POOL_LABEL: POOL}, taints=[TAINT])
        for index in range(node_count)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda item: client.create(nodes.NODE, item), made))
    account = client.kind("v1", "ServiceAccount")
    assert account is not None
    for team in settings.teams:
        wait(lambda team=team: client.get(account, team, "default"), "service accounts")
    wait(lambda: len(_ready(client)) == node_count, "nodes ready")


def _ready(client: Client) -> list[str]:
    return [
        item["metadata"]["name"]
        for item in client.list(nodes.NODE)
        if not any(taint["key"].endswith("not-ready") for taint in item["spec"].get("taints", []))
    ]


def measure(node_count: int, pods: int) -> dict[str, Any]:
    """Run the drill; what came out, and whether everybody has what is theirs."""
    settings, phases = platform(node_count, pods)
    image = f"{settings.names.repository_url('workload')}@sha256:{'0' * 64}"
    with tempfile.TemporaryDirectory() as name:
        children = Children(folder=Path(name) / "run")
        started = time.perf_counter()
        plane = control_plane.start(Path(name) / "plane", children, ensure(print))
        ready = time.perf_counter()
        binding = Binding()
        try:
            client = Client(plane.url, plane.ca, plane.token)
            prepare(client, settings, node_count)
            prepared = time.perf_counter()
            threading.Thread(target=binding.follow, args=[plane], daemon=True).start()
            filled = phase(client, binding, phases[0], image)
            called = phase(client, binding, phases[1], image)
            created = filled["pods"] + called["pods"]
            wait(lambda: len(client.list(nodes.POD)) <= node_count * GPUS, "borrowers gone")
            held = holdings(client)
            preempted = created - held.total()
            lost = [
                Load(team=load.team, priority=load.priority, pods=missing, first=load.pods)
                for load in guaranteed(phases)
                if (missing := load.pods - held[f"{load.team}-{load.priority}"])
            ]
            again = phase(client, binding, lost, image) if lost else {}
            wait(lambda: len(client.list(nodes.POD)) <= node_count * GPUS, "borrowers gone")
            return {
                "nodes": node_count,
                "gpus": node_count * GPUS,
                "control_plane_s": round(ready - started, 1),
                "nodes_ready_s": round(prepared - ready, 1),
                "fill": filled,
                "call": {**called, "preempted": preempted},
                "again": again,
                "holds": dict(sorted(holdings(client).items())),
                "memory_mib": memory(plane),
            }
        finally:
            binding.over = True
            plane.stop()


def holdings(client: Client) -> Counter[str]:
    """Pods by team and priority."""
    names = [item["metadata"]["name"] for item in client.list(nodes.POD)]
    return Counter(name.rpartition("-")[0] for name in names)


def guaranteed(phases: list[list[Load]]) -> list[Load]:
    """What is in the teams' own share."""
    return [load for part in phases for load in part if not load.priority.endswith("-borrowed")]


def memory(plane: control_plane.ControlPlane) -> dict[str, int]:
    """Resident memory by program."""
    return {
        name: psutil.Process(process.pid).memory_info().rss >> 20
        for name, process in plane.processes.items()
    }


def main() -> None:
    """Run the drill once and print its figures; exit code 1 when a team lacks its share."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=500, help="nodes with eight GPUs")
    parser.add_argument("--pods", type=int, default=5000, help="pods of one GPU; more than GPUs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not options.nodes * GPUS < options.pods <= 2 * options.nodes * GPUS:
        parser.error(f"--pods must be above {options.nodes * GPUS} and at most twice that")
    logging.disable(logging.INFO)
    result = measure(options.nodes, options.pods)
    _, phases = platform(options.nodes, options.pods)
    due = {f"{load.team}-{load.priority}": load.pods for load in guaranteed(phases)}
    result["everybody_has_their_share"] = result["holds"] == due
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            shown = (
                value
                if not isinstance(value, dict)
                else "  ".join(f"{name} {figure}" for name, figure in value.items())
            )
            print(f"{key:26} {shown}")
    sys.exit(0 if result["everybody_has_their_share"] else 1)


if __name__ == "__main__":
    main()
