"""Pods as rules see them, wherever a resource of Kubernetes describes them."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from policies.data import HIDDEN_INPUTS, UNKNOWN, Data, Resource
from policies.reading.texts import is_meant_for_json, json_of

POD = "kubernetes:core/v1:Pod"
CRON_JOB = "kubernetes:batch/v1:CronJob"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SERVERS = (DEPLOYMENT, "kubernetes:apps/v1:StatefulSet")
RAY = tuple(f"kubernetes:ray.io/v1:Ray{kind}" for kind in ("Cluster", "Job", "Service"))
JOBS = ("kubernetes:batch/v1:Job", *RAY)
"""What Kueue lets wait as a whole."""

OTHERS = "kubernetes:*"
"""Stands for every kind that nobody named here and that describes pods all the same."""

NAMED = (*SERVERS, "kubernetes:apps/v1:DaemonSet", CRON_JOB, POD, *JOBS)
WORKLOADS = (*NAMED, OTHERS)
"""Resources that describe pods."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
ACCELERATORS = ("nvidia.com/", "aws.amazon.com/neuron", "amd.com/gpu", "gpu.intel.com/")
"""How names of accelerators begin among a container's resources."""

_CLUSTER_OF_RAY = {RAY[1]: ("rayClusterSpec",), RAY[2]: ("rayClusterConfig",)}


def pods(resource: Resource) -> list[Data]:
    """The specifications of the pods that a resource describes."""
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    if resource.type not in NAMED:
        return list(_described(_body(seen)))
    spec = seen.at("spec")
    if resource.type == POD:
        return [spec]
    if resource.type == CRON_JOB:
        return [spec.at("jobTemplate", "spec", "template", "spec")]
    if resource.type in RAY:
        ray = spec.at(*_CLUSTER_OF_RAY.get(resource.type, ()))
        groups = [ray.at("headGroupSpec"), *ray.each("workerGroupSpecs")]
        return [group.at("template", "spec") for group in groups]
    return [spec.at("template", "spec")]


def describes_pods(resource: Resource) -> bool:
    """Whether a resource of a kind that is not named here describes pods, as a ReplicaSet does."""
    if not resource.type.startswith("kubernetes:") or resource.type in NAMED:
        return False
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    if not isinstance(seen.value, dict):
        return False
    return next(_described(_body(seen)), None) is not None


SINGLE = ("container", "script", "model")
"""Where operators have one container by itself: Argo's templates, KServe's predictors."""

_STEPS = ("steps", "sidecars")
_LATER = frozenset(("spec", "template", "podTemplate", "podSpec", "containers"))
_OF_POD = frozenset(("hostNetwork", "hostPID", "hostIPC"))
_HANDED_ON = (*sorted(_OF_POD), "automountServiceAccountToken", "securityContext", "volumes")


_IN_JSON = re.compile(r'"(containers|hostNetwork|hostPID|hostIPC)"')
_IN_YAML = re.compile(r"^\s*(containers:\s*$|host(Network|PID|IPC):)", re.MULTILINE)
"""Texts; of YAML and templates the standard library has no reader."""


def _body(seen: Data) -> Data:
    """All that a resource says but of its own name and state."""
    about = ("apiVersion", "kind", "metadata", "status")
    return Data({key: item for key, item in seen.value.items() if key not in about})


def _described(node: Data, above: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Data]:
    """Every part that describes a pod, however deep, in texts of JSON too.

    One that is not known yet stands for itself. A container by itself inherits what stands above.
    """
    value = node.value
    if isinstance(value, str) and ("containers" in value or "host" in value):
        yield from _in_text(value, node.path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _described(Data(item, f"{node.path}[{index}]"), above)
    if not isinstance(value, dict):
        return
    if _is_pod(value):
        yield node
        return
    above = {**above, **{key: value[key] for key in _HANDED_ON if key in value}}
    for name, item in value.items():
        path = f"{node.path}.{name}" if node.path else name
        alone = _alone(name, item)
        if item is UNKNOWN and name in _LATER:
            yield Data(item, path)
        elif alone:
            yield Data({**above, "containers": alone}, path)
        else:
            yield from _described(Data(item, path), above)


def _in_text(text: str, path: str) -> Iterator[Data]:
    if _IN_JSON.search(text) and is_meant_for_json(text):
        found = json_of(text)
        broken = Data(UNKNOWN, f"whether {path}, which is no JSON, describes a pod")
        yield from [broken] if found is None else _described(Data(found, path))
    elif _IN_YAML.search(text):
        yield Data(UNKNOWN, f"whether {path}, which is YAML, describes a pod")


def _is_pod(value: Mapping[str, Any]) -> bool:
    found = value.get("containers")
    if isinstance(found, list):
        return any(isinstance(c, dict) and c.keys() & {"image", "securityContext"} for c in found)
    return bool(value.keys() & _OF_POD)


def _alone(name: str, item: Any) -> list[Any]:
    """Containers that no pod is written around."""
    found = [item] if name in SINGLE else item if name in _STEPS and isinstance(item, list) else []
    return [each for each in found if isinstance(each, dict) and "image" in each]


def containers(spec: Data) -> list[Data]:
    """All containers of a pod, those that run first and those for debugging included."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [found for kind in kinds for found in spec.each(kind)]


def accelerators(container: Data) -> set[str]:
    """The names of the accelerators that a container asks for."""
    return {
        name
        for kind in ("limits", "requests")
        for name in container.keys("resources", kind)
        if name.startswith(ACCELERATORS)
    }
