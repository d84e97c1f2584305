"""Ends what runs on the cluster before the cluster goes: what it made in AWS would outlive it.

Workloads first, so that nothing holds nodes; then the pools of Karpenter, which ends their nodes
while it still runs (METR/hawk issues 21 and 576).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from infra.errors import CheckFailed
from infra.naming import TEAM_LABEL

PATIENCE_SECONDS = 900
POLL_SECONDS = 2.0

CUSTOM = {
    "RayCluster": ("ray.io", "v1", "rayclusters"),
    "RayJob": ("ray.io", "v1", "rayjobs"),
    "NodePool": ("karpenter.sh", "v1", "nodepools"),
    "NodeClaim": ("karpenter.sh", "v1", "nodeclaims"),
}
"""Kinds of the custom resources that start pods and nodes: group, version and plural."""

Say = Callable[[str], None]


def drain(client: Any, say: Say, *, patience_seconds: float = PATIENCE_SECONDS) -> dict[str, int]:
    """Delete workloads, load balancers and pools, and wait until they are gone; how many."""
    ended: dict[str, int] = {}
    steps = (_team_workloads(client), _load_balancers(client), _pools(client))
    for step in steps:
        gone: list[tuple[Any, Any]] = []
        for kind, resource, item in step:
            _delete(client, resource, item)
            ended[kind] = ended.get(kind, 0) + 1
            gone.append((resource, item))
            say(f"{kind} {item.metadata.name}")
        _wait(client, gone, patience_seconds)
    return ended


def _team_workloads(client: Any) -> Iterator[tuple[str, Any, Any]]:
    """What runs in the namespaces of teams and belongs to nothing else, makers before pods."""
    from lightkube.operators import exists
    from lightkube.resources.apps_v1 import Deployment, StatefulSet
    from lightkube.resources.batch_v1 import CronJob, Job
    from lightkube.resources.core_v1 import Namespace, Pod

    kinds: tuple[Any, ...] = (
        _custom("RayCluster"),
        _custom("RayJob"),
        CronJob,
        Job,
        Deployment,
        StatefulSet,
        Pod,
    )
    for namespace in client.list(Namespace, labels={TEAM_LABEL: exists()}):
        for kind in kinds:
            for item in _listed(client, kind, namespace=namespace.metadata.name):
                if not item.metadata.ownerReferences:
                    yield kind.__name__, kind, item


def _load_balancers(client: Any) -> Iterator[tuple[str, Any, Any]]:
    from lightkube.resources.core_v1 import Service
    from lightkube.resources.networking_v1 import Ingress

    for service in client.list(Service, namespace="*"):
        if service.spec.type == "LoadBalancer":
            yield "Service", Service, service
    for ingress in client.list(Ingress, namespace="*"):
        yield "Ingress", Ingress, ingress


def _pools(client: Any) -> Iterator[tuple[str, Any, Any]]:
    for kind in ("NodePool", "NodeClaim"):
        for item in _listed(client, _custom(kind)):
            yield kind, _custom(kind), item


@cache
def _custom(kind: str) -> Any:
    """The class of a custom resource, which lightkube wants to be made once."""
    from lightkube.generic_resource import create_global_resource, create_namespaced_resource

    group, version, plural = CUSTOM[kind]
    make = create_global_resource if group == "karpenter.sh" else create_namespaced_resource
    return make(group, version, kind, plural)


def _listed(client: Any, resource: Any, **where: str) -> list[Any]:
    """Nothing where the cluster does not know the kind."""
    from httpx2 import HTTPStatusError

    try:
        return list(client.list(resource, **where))
    except HTTPStatusError as error:
        if error.response.status_code != 404:
            raise
        return []


def _delete(client: Any, resource: Any, item: Any) -> None:
    from httpx2 import HTTPStatusError
    from lightkube.types import CascadeType

    metadata = item.metadata
    try:
        client.delete(
            resource,
            metadata.name,
            **_namespace(metadata),
            cascade=CascadeType.FOREGROUND,
        )
    except HTTPStatusError as error:
        if error.response.status_code != 404:
            raise


def _namespace(metadata: Any) -> dict[str, str]:
    return {"namespace": metadata.namespace} if metadata.namespace else {}


def _wait(client: Any, gone: list[tuple[Any, Any]], patience_seconds: float) -> None:
    from httpx2 import HTTPStatusError

    deadline = time.monotonic() + patience_seconds
    for resource, item in gone:
        metadata = item.metadata
        while True:
            try:
                found = client.get(resource, metadata.name, **_namespace(metadata))
            except HTTPStatusError as error:
                if error.response.status_code != 404:
                    raise
                break
            if found.metadata.uid != metadata.uid:  # made anew under the same name
                break
            if time.monotonic() > deadline:
                finalizers = ", ".join(found.metadata.finalizers or ["none"])
                raise CheckFailed(
                    f"{resource.__name__} {metadata.name} must end within "
                    f"{patience_seconds:.0f} s, has not; finalizers: {finalizers}",
                    fix="see why its controller does not finish, then destroy again",
                )
            time.sleep(POLL_SECONDS)
