"""Pods as rules see them, wherever a resource of Kubernetes describes them."""

import re
from collections.abc import Mapping
from typing import Any

from policies.data import HIDDEN_INPUTS, UNKNOWN, Data, Resource
from policies.reading.texts import NESTED, Path, is_meant_for_json, json_of, parts, written

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
        return _described(_body(seen))
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
    return bool(_described(_body(seen)))


SINGLE = ("container", "script", "model")
"""Where operators have one container by itself: Argo's templates, KServe's predictors."""

_STEPS = ("steps", "sidecars")
_ALONE = frozenset((*SINGLE, *_STEPS))
_LATER = frozenset(("spec", "template", "podTemplate", "podSpec", "containers"))
_OF_POD = frozenset(("hostNetwork", "hostPID", "hostIPC"))
_HANDED_ON = _OF_POD | {"automountServiceAccountToken", "securityContext", "volumes"}


_IN_JSON = re.compile(r'"(containers|hostNetwork|hostPID|hostIPC)"')
_IN_YAML = re.compile(r"^\s*(containers:\s*$|host(Network|PID|IPC):)", re.MULTILINE)
"""Texts; of YAML and templates the standard library has no reader."""


def _body(seen: Data) -> Mapping[str, Any]:
    """All that a resource says but of its own name and state."""
    about = ("apiVersion", "kind", "metadata", "status")
    return {key: item for key, item in seen.value.items() if key not in about}


def _described(value: Any, path: Path = ()) -> list[Data]:
    """Every part that describes a pod, however deep, in texts of JSON too.

    One that is not known yet stands for itself. A container by itself inherits what stands above.
    """
    found: list[Data] = []
    _collect(value, path, {}, found)
    return found


def _collect(value: Any, path: Path, above: Mapping[str, Any], found: list[Data]) -> None:
    if type(value) is str:
        if "containers" in value or "host" in value:
            found += _in_text(value, path)
        return
    if type(value) is dict:
        if _is_pod(value):
            found.append(Data(value, written(path)))
            return
        if not _HANDED_ON.isdisjoint(value):
            above = {**above, **{key: value[key] for key in _HANDED_ON if key in value}}
    for name, item in parts(value):
        if name in _ALONE and (alone := _alone(name, item)):
            found.append(Data({**above, "containers": alone}, written((path, name))))
        elif type(item) in NESTED:
            _collect(item, (path, name), above, found)
        elif item is UNKNOWN and name in _LATER:
            found.append(Data(item, written((path, name))))


def _in_text(text: str, path: Path) -> list[Data]:
    where = written(path)
    if _IN_JSON.search(text) and is_meant_for_json(text):
        found = json_of(text)
        broken = Data(UNKNOWN, f"whether {where}, which is no JSON, describes a pod")
        return [broken] if found is None else _described(found, path)
    if _IN_YAML.search(text):
        return [Data(UNKNOWN, f"whether {where}, which is YAML, describes a pod")]
    return []


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
