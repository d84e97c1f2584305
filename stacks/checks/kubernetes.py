"""What Kubernetes decides: nodes have their GPUs, and a team over its quota is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.instances import INSTANCE_TYPES
from infra.naming import GPU_RESOURCE, POOL_LABEL, TEAM_LABEL
from policies.data import Resource
from stacks.checks.check import CheckResult, Platform, failed, passed, unknown
from stacks.sizing.fleets import NODE_GROUP, fleets

QUOTA = "kubernetes:core/v1:ResourceQuota"
COUNTED = f"requests.{GPU_RESOURCE}"
PROBE = "plinth-verify"


def check_nodes(platform: Platform) -> Iterator[CheckResult]:
    """As many ready nodes as are asked for from the start, each with the GPUs of its type."""
    from lightkube.resources.core_v1 import Node

    client = platform.kubernetes()
    nodes = list(client.list(Node))
    pools = {
        group.name: (group.inputs.get("labels") or {}).get(POOL_LABEL)
        for group in platform.of_type(NODE_GROUP)
    }
    for fleet in fleets(platform.resources):
        pool = pools.get(fleet.name)
        if fleet.use != "node" or pool is None:
            continue
        mine = [node for node in nodes if (node.metadata.labels or {}).get(POOL_LABEL) == pool]
        yield _pool(pool, fleet.expected, [node for node in mine if _ready(node)])


def _pool(pool: str, expected: int, ready: list[Any]) -> CheckResult:
    short = [problem for node in ready if (problem := _lacks_gpus(node))]
    if len(ready) < expected:
        return failed(
            "nodes",
            pool,
            f"must have {expected} ready nodes, has {len(ready)}",
            "look at the node group's health: aws eks describe-nodegroup",
        )
    if short:
        fix = "look at the NVIDIA device plugin on these nodes"
        return failed("nodes", pool, f"must have the GPUs of their types: {'; '.join(short)}", fix)
    gpus = sum(_gpus(node) for node in ready)
    return passed("nodes", pool, f"{len(ready)} ready nodes with {gpus} GPUs")


def _ready(node: Any) -> bool:
    return any(item.type == "Ready" and item.status == "True" for item in node.status.conditions)


def _gpus(node: Any) -> int:
    return int((node.status.allocatable or {}).get(GPU_RESOURCE, 0))


def _lacks_gpus(node: Any) -> str | None:
    """Slices of GPUs count as more than the type has, never as fewer."""
    instance_type = (node.metadata.labels or {}).get("node.kubernetes.io/instance-type", "")
    facts = INSTANCE_TYPES.get(instance_type)
    if facts is None or _gpus(node) >= facts.gpus:
        return None
    return f"{node.metadata.name} ({instance_type}) offers {_gpus(node)} of {facts.gpus}"


def check_quotas(platform: Platform) -> Iterator[CheckResult]:
    """A pod that asks for one GPU more than a quota holds is refused; nothing is created."""
    client = platform.kubernetes()
    for quota in platform.of_type(QUOTA):
        hard = quota.inputs.get("spec", "hard") or {}
        priority_class = _priority_class(quota)
        if COUNTED in hard and priority_class is not None:
            pod = probe(platform, quota, int(hard[COUNTED]) + 1, priority_class)
            yield _refused(client, quota, pod)


def _priority_class(quota: Resource) -> str | None:
    """A class whose pods the quota counts."""
    for term in quota.inputs.get("spec", "scopeSelector", "matchExpressions") or ():
        if term.get("scopeName") == "PriorityClass" and term.get("operator") == "In":
            return str(term["values"][0])
    return None


def probe(platform: Platform, quota: Resource, gpus: int, priority_class: str) -> dict[str, Any]:
    """A pod that every other guard lets through."""
    account = platform.settings.environment.account
    registry = f"{account.account_id}.dkr.ecr.{account.region}.amazonaws.com"
    metadata: Mapping[str, Any] = quota.inputs.get("metadata")
    resources = {"cpu": "100m", "memory": "128Mi", GPU_RESOURCE: str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": PROBE,
            "namespace": metadata["namespace"],
            "labels": {TEAM_LABEL: (metadata.get("labels") or {}).get(TEAM_LABEL, "")},
        },
        "spec": {
            "priorityClassName": priority_class,
            "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}],
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": f"{registry}/{PROBE}@sha256:{'0' * 64}",
                    "resources": {"requests": resources, "limits": resources},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def _refused(client: Any, quota: Resource, pod: Mapping[str, Any]) -> CheckResult:
    from lightkube.core.exceptions import ApiError
    from lightkube.resources.core_v1 import Pod

    metadata = quota.inputs.get("metadata")
    subject = f"{metadata['namespace']}/{metadata['name']}"
    asked = pod["spec"]["containers"][0]["resources"]["limits"][GPU_RESOURCE]
    try:
        client.create(Pod.from_dict(dict(pod)), dry_run=True)
    except ApiError as error:
        said = str(error.status.message)
        if f"exceeded quota: {metadata['name']}" in said:
            return passed("team quotas", subject, f"refuses a pod with {asked} GPUs")
        return unknown("team quotas", subject, f"a pod was refused for another reason: {said}")
    return failed(
        "team quotas",
        subject,
        f"must refuse a pod with {asked} GPUs, let it in",
        "look at the ResourceQuota: kubectl get resourcequota -n " + metadata["namespace"],
    )
