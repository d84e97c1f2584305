"""Pods, wherever they are described, and the rights of those who talk to the cluster."""

from collections.abc import Iterator

from policies.data import Data, Resource
from policies.reading.images import approved
from policies.reading.pods import (
    QUEUE_LABEL,
    RAY,
    SERVERS,
    WORKLOADS,
    accelerators,
    containers,
    pods,
)
from policies.reading.predicates import OFF, ON, SET, Must, meets, one_of
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
ROLES = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("ClusterRole", "Role"))
BINDINGS = tuple(f"{role}Binding" for role in ROLES)
TAINTS = {"nvidia.com/": "nvidia.com/gpu", "aws.amazon.com/neuron": "aws.amazon.com/neuron"}
"""How the name of an accelerator begins -> the taint of the nodes that have it."""


@rule(
    "ML-K8-010",
    applies_to=WORKLOADS,
    severity="high",
    fix="ask for GPUs in requests and limits alike, tolerate the taint and select the pool;\n"
    "take the toleration out of pods that ask for none",
    url="https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/",
    themes=Theme.LIMITS,
)
def require_gpu_request(resource: Resource, scope: Scope) -> Result:
    """A pod that asks for accelerators finds them, and no other pod stands on their nodes.

    Kueue adds toleration and selector to what waits in a queue. Agents of a DaemonSet belong on
    every node.
    """
    specs = pods(resource)
    if not any(_asked(spec) or _tolerated(spec) for spec in specs):
        return NotApplicable("no pod asks for accelerators or tolerates their taint")
    queued = QUEUE_LABEL in resource.inputs.keys("metadata", "labels")

    def placed(spec: Data) -> Result:
        asked = _asked(spec)
        if not asked:
            agent = resource.type == DAEMON_SET
            where = f"{spec.path}.tolerations must not have {', '.join(sorted(_tolerated(spec)))}"
            return Fail(where) if _tolerated(spec) and not agent else None
        return every(containers(spec), _equal) or (None if queued else _reached(spec, asked))

    return every(specs, placed)


def _asked(spec: Data) -> set[str]:
    """The taints of the nodes whose accelerators the pod asks for."""
    return {
        taint
        for container in containers(spec)
        for name in accelerators(container)
        for prefix, taint in TAINTS.items()
        if name.startswith(prefix)
    }


def _tolerated(spec: Data) -> set[str]:
    """The taints that the pod tolerates; a toleration without a key is one of everything."""
    keys = {each.get("key") for each in spec.each("tolerations")}
    return {*TAINTS.values()} & (keys if keys.isdisjoint((None, "")) else {*TAINTS.values()})


def _equal(container: Data) -> Result:
    """Kubernetes takes the limit for the request, and refuses a request without a limit."""
    for name in sorted(accelerators(container)):
        limit = container.get("resources", "limits", name)
        request = container.get("resources", "requests", name)
        if limit is None or str(request if request is not None else limit) != str(limit):
            where = f"{container.path}.resources.limits[{name}]"
            return Fail(f"{where} must be as much as is requested, got {limit} of {request}")
    return None


def _reached(spec: Data, asked: set[str]) -> Result:
    missing = asked - _tolerated(spec)
    if missing:
        return Fail(f"{spec.path}.tolerations must have {', '.join(sorted(missing))}")
    selects = spec.has("nodeSelector") or spec.has("affinity", "nodeAffinity")
    return None if selects else Fail(f"{spec.path}.nodeSelector must name the nodes")


@rule(
    "ML-K8-012",
    applies_to=WORKLOADS,
    severity="high",
    fix="meet Pod Security's standard `restricted` and mount an emptyDir for what is written;\n"
    "an agent that needs the node takes an exemption",
    url="https://kubernetes.io/docs/concepts/security/pod-security-standards/",
    themes=Theme.LEAST_PRIVILEGE,
)
def require_restricted_pod(resource: Resource, scope: Scope) -> Result:
    """Pods run without root, privileges, a writable root, a token, and any part of the node.

    Ray writes beside its code, in images that it did not make: its root may be written.
    """
    writable = resource.type in RAY
    return every(pods(resource), lambda spec: _restricted(spec, writable))


def _restricted(spec: Data, writable: bool) -> Result:
    shared = {f"host{name}": OFF for name in ("IPC", "Network", "PID")}
    own = {
        "securityContext.allowPrivilegeEscalation": one_of(False),
        "securityContext.capabilities.drop": Must("must have ALL", lambda v: "ALL" in (v or ())),
        "securityContext.capabilities.add": Must(
            "must have NET_BIND_SERVICE at most", lambda v: {*(v or ())} <= {"NET_BIND_SERVICE"}
        ),
        "securityContext.procMount": one_of("Default", None),
        "securityContext.windowsOptions.hostProcess": OFF,
        "securityContext.privileged": OFF,
    }
    if not writable:
        own["securityContext.readOnlyRootFilesystem"] = ON
    inherited = {
        "securityContext.runAsNonRoot": ON,
        "securityContext.seccompProfile.type": one_of("RuntimeDefault", "Localhost"),
    }

    def container_holds(container: Data) -> Result:
        lacking = {
            path: must
            for path, must in inherited.items()
            if container.has(*path.split(".")) or meets(spec, {path: must})
        }
        found = meets(container, {**own, **lacking})
        ports = every(container.each("ports"), lambda port: meets(port, {"hostPort": NONE}))
        return _joined(found, ports)

    pod = meets(spec, {**shared, "automountServiceAccountToken": one_of(False)})
    volumes = every(spec.each("volumes"), lambda volume: meets(volume, {"hostPath": UNSET}))
    return _joined(pod, volumes, every(containers(spec), container_holds))


NONE = Must("must not be set", lambda value: value in (None, 0))
UNSET = Must("must not be set", lambda value: value is None)


def _joined(*found: Result) -> Result:
    messages = [result.message for result in found if isinstance(result, Fail)]
    return Fail("; ".join(messages)) if messages else None


@rule(
    "ML-K8-013",
    applies_to=WORKLOADS,
    severity="high",
    fix="give the image as registry/repository@sha256:<digest>\n"
    "from a registry in approved_registries",
    url="https://kubernetes.io/docs/concepts/containers/images/#image-names",
    themes=Theme.SUPPLY_CHAIN,
)
def require_pinned_pod_image(resource: Resource, scope: Scope) -> Result:
    """Containers of pods run an image pinned by digest from an approved registry.

    Nodes that start on different days run different images of one tag.
    """
    everything = [each for spec in pods(resource) for each in containers(spec)]
    return every(everything, lambda container: approved(str(container.get("image")), scope))


@rule(
    "ML-K8-014",
    applies_to=WORKLOADS,
    severity="medium",
    fix="set requests of cpu and memory and a limit of memory; give what serves a startupProbe\n"
    "that is as patient as the weights are large, a readinessProbe and a livenessProbe",
    url="https://kubernetes.io/docs/concepts/workloads/pods/probes/",
    themes=Theme.AVAILABILITY,
)
def require_resources_and_probes(resource: Resource, scope: Scope) -> Result:
    """Containers say what they need, and those that serve when they can.

    Without a startup probe, a liveness probe kills a server that still loads its model, for ever.
    A limit of CPUs is not asked for: it slows a pod on an idle node.
    """
    needs = {f"resources.requests.{name}": SET for name in ("cpu", "memory")}
    needs["resources.limits.memory"] = SET
    probes = {f"{name}Probe": SET for name in ("liveness", "readiness", "startup")}

    def told(container: Data) -> Result:
        serves = resource.type in SERVERS and container.has("ports")
        return meets(container, {**needs, **(probes if serves else {})})

    return every([each for spec in pods(resource) for each in spec.each("containers")], told)


@rule(
    "ML-K8-017",
    applies_to=(*ROLES, *BINDINGS),
    severity="high",
    fix="name groups, resources and verbs; name the secrets; bind roles to named people",
    url="https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_broad_cluster_roles(resource: Resource, scope: Scope) -> Result:
    """No role holds everything, reads every secret or becomes more, and none is everybody's.

    Who may use nodes/proxy, bind, escalate or impersonate has what cluster-admin has.
    """
    inputs = resource.inputs
    if resource.type in BINDINGS:
        return every(_bound(inputs), Fail)
    return every(inputs.each("rules"), _narrow)


SUBJECTS = frozenset(("system:anonymous", "system:authenticated", "system:masters"))
ESCALATING = frozenset(("bind", "escalate", "impersonate"))
READING = frozenset(("get", "list", "watch"))


def _bound(binding: Data) -> Iterator[str]:
    if binding.get("roleRef", "name") == "cluster-admin":
        yield "roleRef must not be cluster-admin"
    everybody = SUBJECTS | {"system:unauthenticated"}
    for subject in binding.each("subjects"):
        if (name := subject.get("name")) in everybody:
            yield f"{subject.path} must be somebody, got {name}"


def _narrow(rights: Data) -> Result:
    verbs, resources, groups = (
        set(rights.get(key) or ()) for key in ("verbs", "resources", "apiGroups")
    )
    if "*" in verbs | resources | groups:
        return Fail(f"{rights.path} must name what it allows, got *")
    if gained := verbs & ESCALATING:
        return Fail(f"{rights.path} must not allow {', '.join(sorted(gained))}")
    if "nodes/proxy" in resources:
        return Fail(f"{rights.path} must not allow nodes/proxy")
    if "secrets" in resources and verbs & READING and not rights.get("resourceNames"):
        return Fail(f"{rights.path} must name the secrets that may be read")
    return None
