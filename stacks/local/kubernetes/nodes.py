"""EKS node groups as Kubernetes nodes: what each one has is what EC2 says of its instance type.

Nodes carry no containers; kwok plays their kubelets. A node with an NVIDIA image advertises its
GPUs at once, as it does on AWS when the device plugin runs.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from infra.errors import UserError
from stacks.local.kubernetes.client import Client, Kind, Object
from stacks.local.kubernetes.control_plane import MANAGED

NODE = Kind(api_version="v1", kind="Node", plural="nodes", namespaced=False)
POD = Kind(api_version="v1", kind="Pod", plural="pods", namespaced=True)

GROUP_LABEL = "eks.amazonaws.com/nodegroup"
APPLIED = "plinth.local/node-group"
"""Annotation with the machine, the labels and the taints that the group gave the node, so that a
later change of the group takes away its own ones and leaves those of others."""

TAINT_EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "NO_EXECUTE": "NoExecute",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}
GPU, NEURON, EFA = "nvidia.com/gpu", "aws.amazon.com/neuron", "vpc.amazonaws.com/efa"

CPU_RESERVED = ((1000, 0.06), (1000, 0.01), (2000, 0.005))
CPU_RESERVED_BEYOND = 0.0025
"""Millicores -> share that the kubelet keeps (amazon-eks-ami, nodeadm)."""

MEMORY_RESERVED_MIB, MEMORY_RESERVED_PER_POD_MIB, MEMORY_EVICTION_MIB = 255, 11, 100
DISK_RESERVED_GIB, DISK_EVICTION = 1, 0.1

PARALLEL = 16
VERSION = "v1.34.2"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A managed node group, as far as its nodes show it."""

    name: str
    count: int
    instance_type: str
    zones: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    """As EKS writes them: key, value, effect such as `NO_SCHEDULE`."""

    capacity_type: str = "ON_DEMAND"
    ami_type: str = "AL2023_x86_64_STANDARD"
    efa_interfaces: int = 0
    """Network interfaces of the launch template whose type is `efa` or `efa-only`."""

    disk_gib: int = 20


def manifests(group: Group) -> list[Object]:
    """The nodes of a group, zones in turn; the same group gives the same names."""
    return [
        node(
            f"{group.name}-{index}",
            group.instance_type,
            zone=group.zones[index % len(group.zones)],
            labels={
                **group.labels,
                GROUP_LABEL: group.name,
                "eks.amazonaws.com/capacityType": group.capacity_type,
                "eks.amazonaws.com/nodegroup-image": group.ami_type,
            },
            taints=[_taint(taint) for taint in group.taints],
            accelerators=has_accelerator_image(group.ami_type),
            efa_interfaces=group.efa_interfaces,
            disk_gib=group.disk_gib,
        )
        for index in range(group.count)
    ]


def has_accelerator_image(ami_type: str) -> bool:
    """Whether the image brings drivers; of a custom image it is taken for granted."""
    return bool(re.search("NVIDIA|NEURON|GPU|CUSTOM", ami_type))


def node(
    name: str,
    instance_type: str,
    *,
    zone: str = "us-east-1a",
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    accelerators: bool = True,
    efa_interfaces: int = 0,
    disk_gib: int = 20,
) -> Object:
    """One node of an instance type, with taints as Kubernetes writes them."""
    facts = instance_facts(instance_type)
    capacity = capacity_of(
        facts, accelerators=accelerators, efa_interfaces=efa_interfaces, disk_gib=disk_gib
    )
    architecture = facts["ProcessorInfo"]["SupportedArchitectures"][-1].replace("x86_64", "amd64")
    given, tainted = dict(labels or {}), [dict(taint) for taint in taints]
    applied = {"machine": [instance_type, zone, capacity], "labels": given, "taints": tainted}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": architecture,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": instance_type,
                "topology.kubernetes.io/region": zone[:-1],
                "topology.kubernetes.io/zone": zone,
                **given,
            },
            "annotations": {**MANAGED, APPLIED: json.dumps(applied, sort_keys=True)},
        },
        "spec": {
            "providerID": f"aws:///{zone}/i-{hashlib.sha256(name.encode()).hexdigest()[:17]}",
            "taints": tainted,
        },
        "status": {
            "capacity": capacity,
            "allocatable": allocatable(capacity),
            "nodeInfo": _info(architecture),
        },
    }


@functools.cache
def instance_facts(instance_type: str) -> Mapping[str, Any]:
    """What EC2 says of an instance type."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    if instance_type not in INSTANCE_TYPES:
        raise UserError(
            f"instance type must be one of EC2's, got {instance_type!r}",
            fix="correct the instance type of the node group",
        )
    facts: Mapping[str, Any] = INSTANCE_TYPES[instance_type]
    return facts


def capacity_of(
    facts: Mapping[str, Any], *, accelerators: bool, efa_interfaces: int, disk_gib: int
) -> dict[str, str]:
    """Resources of a node of this type."""
    counts = {"cpu": facts["VCpuInfo"]["DefaultVCpus"], "pods": _max_pods(facts["NetworkInfo"])}
    if accelerators:
        gpus = (facts.get("GpuInfo") or {}).get("Gpus") or []
        neurons = (facts.get("NeuronInfo") or {}).get("NeuronDevices") or []
        counts[GPU] = sum(gpu["Count"] for gpu in gpus if gpu["Manufacturer"] == "NVIDIA")
        counts[NEURON] = sum(device["Count"] for device in neurons)
    counts[EFA] = efa_interfaces
    return {
        **{name: str(count) for name, count in counts.items() if count},
        "memory": f"{facts['MemoryInfo']['SizeInMiB']}Mi",
        "ephemeral-storage": f"{disk_gib}Gi",
    }


def allocatable(capacity: Mapping[str, str]) -> dict[str, str]:
    """Capacity less what the kubelet of an EKS image keeps (amazon-eks-ami, nodeadm)."""
    left = millicores = int(capacity["cpu"]) * 1000
    kept = 0.0
    for span, share in CPU_RESERVED:
        kept += min(left, span) * share
        left -= min(left, span)
    kept += left * CPU_RESERVED_BEYOND
    memory_mib = int(capacity["memory"].removesuffix("Mi")) - MEMORY_RESERVED_MIB
    memory_mib -= MEMORY_RESERVED_PER_POD_MIB * int(capacity["pods"]) + MEMORY_EVICTION_MIB
    disk_gib = int(capacity["ephemeral-storage"].removesuffix("Gi"))
    disk_mib = int((disk_gib * (1 - DISK_EVICTION) - DISK_RESERVED_GIB) * 1024)
    return {
        **capacity,
        "cpu": f"{millicores - int(kept)}m",
        "memory": f"{memory_mib}Mi",
        "ephemeral-storage": f"{disk_mib}Mi",
    }


def _max_pods(network: Mapping[str, Any]) -> int:
    """Addresses of the first network card (EKS User Guide, Choose an instance type)."""
    interfaces: int = network["NetworkCards"][0]["MaximumNetworkInterfaces"]
    return interfaces * (int(network["Ipv4AddressesPerInterface"]) - 1) + 2


def _info(architecture: str) -> dict[str, str]:
    unknown = ("bootID", "kernelVersion", "kubeProxyVersion", "machineID", "systemUUID")
    return {
        **dict.fromkeys(unknown, ""),
        "architecture": architecture,
        "containerRuntimeVersion": "kwok",
        "kubeletVersion": VERSION,
        "operatingSystem": "linux",
        "osImage": "Amazon Linux 2023",
    }


def _taint(taint: Mapping[str, str]) -> dict[str, str]:
    value = {"value": taint["value"]} if taint.get("value") else {}
    return {"key": taint["key"], **value, "effect": TAINT_EFFECTS[taint["effect"]]}


def reconcile(client: Client, groups: Iterable[Group]) -> int:
    """Make the nodes of node groups what the groups say; how many had to change."""
    wanted = {item["metadata"]["name"]: item for group in groups for item in manifests(group)}
    listed = client.list(NODE, labelSelector=GROUP_LABEL)
    held = {item["metadata"]["name"]: item for item in listed}
    changed = [n for n in wanted if n in held and _applied(held[n]) != _applied(wanted[n])]
    replaced = {n for n in changed if _machine(held[n]) != _machine(wanted[n])}
    removed = [name for name in held if name not in wanted or name in replaced]
    made = [item for name, item in wanted.items() if name not in held or name in replaced]
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda name: remove(client, name), removed))
        list(pool.map(lambda item: client.create(NODE, item), made))
        for name in set(changed) - replaced:
            client.patch(NODE, None, name, _change(held[name], wanted[name]))
    return len(changed) + len(removed) + len(made) - 2 * len(replaced)


def _applied(item: Object) -> dict[str, Any]:
    """What the group gave this node."""
    text = item["metadata"].get("annotations", {}).get(APPLIED, "{}")
    applied: dict[str, Any] = json.loads(text)
    return applied


def _machine(item: Object) -> Any:
    """What only another machine can change."""
    return _applied(item).get("machine")


def _change(held: Object, wanted: Object) -> Object:
    """A merge patch from the labels and taints that the group gave to those that it gives."""
    old, new = _applied(held), _applied(wanted)
    others = [taint for taint in held["spec"].get("taints", []) if taint not in old["taints"]]
    return {
        "metadata": {
            "labels": {**dict.fromkeys(old["labels"]), **new["labels"]},
            "annotations": {APPLIED: wanted["metadata"]["annotations"][APPLIED]},
        },
        "spec": {"taints": [*new["taints"], *others]},
    }


def remove(client: Client, name: str) -> None:
    """Take a node away as an ending instance does: no new pods, no old ones, no node.

    Its pods get no time to end: kwok may no longer know the node when it should say that they did,
    and then they would stay until the garbage collection of pods finds them, up to a minute later.
    """
    client.patch(NODE, None, name, {"spec": {"unschedulable": True}})
    for pod in client.list(POD, fieldSelector=f"spec.nodeName={name}"):
        about = pod["metadata"]
        client.delete(
            POD, about["namespace"], about["name"], propagation="Background", grace_seconds=0
        )
    client.delete(NODE, None, name, propagation="Background")
