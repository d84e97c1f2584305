"""A pool of Karpenter: the NodePool and the EC2NodeClass that its settings stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi

from infra.naming import GPU_RESOURCE
from infra.nodes import MAX_PODS, GpuPool

DISRUPTION = {
    # an empty node is kept too: the next job of a sweep is about to need it
    "training": {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": "Never",
        "budgets": [{"nodes": "0"}],
    },
    "serving": {
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
        "consolidateAfter": "10m",
        "budgets": [{"nodes": "10%"}],
    },
}
"""What Karpenter may do to running nodes on its own account, by the pool's purpose.

The budget of training also holds back drift, so a new image is rolled by hand: cordon, wait for the
jobs, delete the NodeClaims. On a full reservation nothing else works, because Karpenter starts the
replacement first (Karpenter, Disruption).
"""


@dataclass(frozen=True, kw_only=True)
class KarpenterPool:
    """One NodePool and its EC2NodeClass."""

    pool: GpuPool

    gpu_limit: int
    """GPUs that it may grow to."""

    purpose: Literal["training", "serving"]
    capacity_types: Sequence[str]
    """Of `reserved`, `spot`, `on-demand`; Karpenter takes them in this order."""

    subnet_ids: Mapping[str, pulumi.Input[str]]
    """By zone id: the zones it may use."""

    reservation_id: str | None = None
    """Capacity reservation that is used first. Default: none, or those with the tags."""

    reservation_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the reservations that are used first. Default: none, or the one with the id."""

    startup_taints: Sequence[str] = ()
    """Taints that storage agents remove once they run. Default: none."""

    expire_after_hours: int | None = None
    """Age at which a node is replaced, jobs or not. Default: never."""

    termination_grace_hours: int = 24
    """How long a node may drain. Default: 24 hours."""

    @property
    def limits(self) -> dict[str, str]:
        """GPUs, and the CPUs that come with them: neither alone bounds what is spent."""
        nodes = self.gpu_limit // self.pool.facts.gpus
        cpus = nodes * self.pool.facts.vcpus
        return {GPU_RESOURCE: str(self.gpu_limit), "cpu": str(cpus)}


def node_class(
    settings: KarpenterPool,
    *,
    tags: Mapping[str, str],
    instance_profile: pulumi.Input[str],
    security_group_ids: Sequence[pulumi.Input[str]],
    kms_key_arn: pulumi.Input[str] | None,
    placement_group: pulumi.Input[str] | None,
) -> dict[str, Any]:
    """How EC2 starts a node of the pool."""
    pool = settings.pool
    volume = {
        "volumeSize": f"{pool.disk_gib}Gi",
        "volumeType": "gp3",
        "encrypted": True,
        "deleteOnTermination": True,
        **({"kmsKeyID": kms_key_arn} if kms_key_arn else {}),
    }
    spec: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": ami_alias(pool)}],
        "instanceProfile": instance_profile,
        "subnetSelectorTerms": [{"id": subnet} for subnet in settings.subnet_ids.values()],
        "securityGroupSelectorTerms": [{"id": group_id} for group_id in security_group_ids],
        "associatePublicIPAddress": False,
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        },
        "blockDeviceMappings": [{"deviceName": pool.family.data_device, "ebs": volume}],
        "kubelet": {"maxPods": MAX_PODS},
        "tags": dict(tags),
    }
    if pool.facts.local_nvme:
        spec["instanceStorePolicy"] = "RAID0"
    if pool.interfaces:
        spec["networkInterfaces"] = [
            {"networkCardIndex": card, "deviceIndex": device, "interfaceType": kind}
            for card, device, kind in pool.interfaces
        ]
    if settings.reservation_id or settings.reservation_tags:
        found = {"tags": dict(settings.reservation_tags)} if settings.reservation_tags else {}
        spec["capacityReservationSelectorTerms"] = [
            {"id": settings.reservation_id} if settings.reservation_id else found
        ]
    if placement_group is not None:
        spec["placementGroupSelector"] = {"name": placement_group}
    return spec


def ami_alias(pool: GpuPool) -> str:
    """The pinned image as Karpenter names it: `al2023@v20251120`, `bottlerocket@v1.51.0`."""
    version, _, build = pool.release_version.partition("-")
    dated = pool.family.karpenter == "al2023"
    return f"{pool.family.karpenter}@v{build if dated else version}"


def node_pool(name: str, settings: KarpenterPool) -> dict[str, Any]:
    """What nodes there may be, how many, and when Karpenter may take one away."""
    expiry = settings.expire_after_hours
    requirements = {
        "node.kubernetes.io/instance-type": [settings.pool.instance_type],
        "karpenter.sh/capacity-type": list(settings.capacity_types),
        "topology.k8s.aws/zone-id": list(settings.subnet_ids),
    }
    return {
        "disruption": DISRUPTION[settings.purpose],
        "limits": settings.limits,
        "template": {
            "metadata": {"labels": settings.pool.node_labels(name)},
            "spec": {
                "nodeClassRef": {
                    "group": "karpenter.k8s.aws",
                    "kind": "EC2NodeClass",
                    "name": name,
                },
                "requirements": [
                    {"key": key, "operator": "In", "values": values}
                    for key, values in requirements.items()
                ],
                "taints": [{"key": GPU_RESOURCE, "value": "true", "effect": "NoSchedule"}],
                "startupTaints": [
                    {"key": taint, "effect": "NoExecute"} for taint in settings.startup_taints
                ],
                "expireAfter": f"{expiry}h" if expiry else "Never",
                "terminationGracePeriod": f"{settings.termination_grace_hours}h",
            },
        },
    }
