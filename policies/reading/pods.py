"""Pods as rules see them, wherever a resource of Kubernetes describes them."""

from collections.abc import Iterator

from policies.data import HIDDEN_INPUTS, Data, Resource

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
ACCELERATORS = ("nvidia.com/", "aws.amazon.com/neuron")
"""How names of accelerators begin among a container's resources."""

_CLUSTER_OF_RAY = {RAY[1]: ("rayClusterSpec",), RAY[2]: ("rayClusterConfig",)}


def pods(resource: Resource) -> list[Data]:
    """The specifications of the pods that a resource describes."""
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    spec = seen.at("spec")
    if resource.type == POD:
        return [spec]
    if resource.type == CRON_JOB:
        return [spec.at("jobTemplate", "spec", "template", "spec")]
    if resource.type in RAY:
        ray = spec.at(*_CLUSTER_OF_RAY.get(resource.type, ()))
        groups = [ray.at("headGroupSpec"), *ray.each("workerGroupSpecs")]
        return [group.at("template", "spec") for group in groups]
    if resource.type in NAMED:
        return [spec.at("template", "spec")]
    return list(_described(spec))


def describes_pods(resource: Resource) -> bool:
    """Whether a resource of a kind that is not named here describes pods, as a ReplicaSet does."""
    if not resource.type.startswith("kubernetes:") or resource.type in NAMED:
        return False
    seen = resource.outputs if resource.inputs is HIDDEN_INPUTS else resource.inputs
    if not isinstance(seen.value, dict):
        return False
    return next(_described(Data(seen.value.get("spec"), "spec")), None) is not None


def _described(spec: Data) -> Iterator[Data]:
    """Every part that has containers with images, however deep."""
    value = spec.value
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _described(Data(item, f"{spec.path}[{index}]"))
    if not isinstance(value, dict):
        return
    found = value.get("containers")
    if isinstance(found, list) and any(isinstance(c, dict) and c.get("image") for c in found):
        yield spec
        return
    for name, item in value.items():
        yield from _described(Data(item, f"{spec.path}.{name}"))


def containers(spec: Data) -> list[Data]:
    """All containers of a pod, those that run first included."""
    return [*spec.each("initContainers"), *spec.each("containers")]


def accelerators(container: Data) -> set[str]:
    """The names of the accelerators that a container asks for."""
    return {
        name
        for kind in ("limits", "requests")
        for name in container.keys("resources", kind)
        if name.startswith(ACCELERATORS)
    }
