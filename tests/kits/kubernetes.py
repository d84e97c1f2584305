"""A Kubernetes control plane for tests, without an AWS in front of it, and short ways to use it."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stacks.local.kubernetes import control_plane as planes
from stacks.local.kubernetes import nodes
from stacks.local.kubernetes.client import Client, Kind, Object
from stacks.local.runtime.processes import Children
from stacks.toolchain import control_plane as toolchain
from tests.kits.path import wait_until


@pytest.fixture(scope="session")
def control_plane_binaries() -> toolchain.Kubernetes:
    """The programs, built on first use like the Pulumi CLI; workers wait for each other."""
    return toolchain.ensure(logging.getLogger(__name__).info)


@pytest.fixture(scope="module")
def control_plane(
    tmp_path_factory: pytest.TempPathFactory, control_plane_binaries: toolchain.Kubernetes
) -> Iterator["Kubernetes"]:
    """A control plane of this module's own, without nodes; it ends with the module."""
    with running_control_plane(tmp_path_factory.mktemp("plane"), control_plane_binaries) as running:
        yield running


@contextlib.contextmanager
def running_control_plane(folder: Path, programs: toolchain.Kubernetes) -> Iterator["Kubernetes"]:
    """A control plane in this folder; no process is left of it afterwards."""
    children = Children(folder=folder / "run")
    plane = planes.start(folder / "kubernetes", children, programs)
    try:
        yield Kubernetes(plane=plane, client=Client(plane.url, plane.ca, plane.token))
    finally:
        plane.stop()
    assert children.recorded() == []


@dataclass(frozen=True, kw_only=True)
class Kubernetes:
    """A running control plane and what tests do with it."""

    plane: planes.ControlPlane
    client: Client

    def kind(self, api_version: str, kind: str) -> Kind:
        found = self.client.kind(api_version, kind)
        assert found is not None, f"the server has no {api_version} {kind}"
        return found

    def apply(self, *objects: Object) -> list[Object]:
        """Server-side apply, in order; what the server made of them."""
        return [
            self.client.apply(self.kind(item["apiVersion"], item["kind"]), item) for item in objects
        ]

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        return self.client.get(self.kind(api_version, kind), namespace, name)

    def list(self, api_version: str, kind: str, namespace: str | None = None) -> list[Object]:
        return self.client.list(self.kind(api_version, kind), namespace)

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        self.client.delete(self.kind(api_version, kind), namespace, name)

    def namespace(self, name: str, **labels: str) -> str:
        """A namespace in which pods can be created; its name."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": labels},
            }
        )
        until(lambda: self.get("v1", "ServiceAccount", "default", name))
        return name

    def node(
        self,
        name: str,
        instance_type: str,
        *,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
        zone: str = "us-east-1a",
        efa_interfaces: int = 0,
    ) -> Object:
        """A node with the capacity of the instance type, once pods can be bound to it."""
        item = nodes.node(
            name,
            instance_type,
            labels=labels,
            taints=taints,
            zone=zone,
            efa_interfaces=efa_interfaces,
        )
        self.client.create(nodes.NODE, item)
        return until(lambda: self._schedulable(name))

    def remove_node(self, name: str) -> None:
        """Take a node away, its pods first."""
        nodes.remove(self.client, name)

    def fail_node(self, name: str) -> None:
        """Let a node's kubelet report that it is not ready until its pods are evicted.

        kwok, which reports for the node until it is told not to, may have a last word under way.
        """
        self.client.patch(nodes.NODE, None, name, {"metadata": {"annotations": planes.OWN_STATUS}})
        until(lambda: self._evicted(name))

    def _evicted(self, name: str) -> bool:
        if (found := self._schedulable(name)) is None:
            pods = self.client.list(nodes.POD)
            return all(pod["spec"].get("nodeName") != name for pod in pods)
        conditions = [
            {**c, "status": "False", "reason": "KubeletNotReady"} if c["type"] == "Ready" else c
            for c in found["status"]["conditions"]
        ]
        change = {"status": {"conditions": conditions}}
        self.client.patch(nodes.NODE, None, f"{name}/status", change)
        return False

    def pods(self, namespace: str) -> dict[str, str]:
        """Pods of a namespace: name -> node, empty while it waits."""
        listed = self.client.list(nodes.POD, namespace)
        return {item["metadata"]["name"]: item["spec"].get("nodeName", "") for item in listed}

    def waiting_because(self, namespace: str, name: str) -> str:
        """Why the scheduler has not placed a pod; empty while it has not said so."""
        pod = self.client.get(nodes.POD, namespace, name)
        conditions = (pod or {}).get("status", {}).get("conditions", [])
        unplaced = [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"]
        return unplaced[0].get("message", "") if unplaced else ""

    def _schedulable(self, name: str) -> Object | None:
        found = self.client.get(nodes.NODE, None, name)
        if found is None:
            return None
        conditions = found["status"].get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        taints = [taint["key"] for taint in found["spec"].get("taints", [])]
        return found if ready and "node.kubernetes.io/not-ready" not in taints else None


until = wait_until


def pod(
    name: str,
    namespace: str,
    *,
    gpus: int = 0,
    cpu: str = "1",
    memory: str = "1Gi",
    priority_class: str | None = None,
    **spec: Any,
) -> Object:
    """A pod with one container that asks for these resources."""
    resources: dict[str, Any] = {"requests": {"cpu": cpu, "memory": memory}}
    if gpus:
        resources["limits"] = {nodes.GPU: str(gpus)}
    priority = {"priorityClassName": priority_class} if priority_class else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [{"name": "main", "image": "example/image:1", "resources": resources}],
            **priority,
            **spec,
        },
    }
