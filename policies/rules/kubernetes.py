"""Pods, wherever they are described, and the rights of those who talk to the cluster."""

from collections.abc import Iterator, Mapping

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
BINDINGS = tuple(f"{role}Binding{patch}" for role in ROLES for patch in ("", "Patch"))
TAINTS = {
    "nvidia.com/": "nvidia.com/gpu",
    "aws.amazon.com/neuron": "aws.amazon.com/neuron",
    "amd.com/gpu": "amd.com/gpu",
    "gpu.intel.com/": "gpu.intel.com/i915",
}
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
        "securityContext.privileged": OFF,
        **SHARED,
        **{f"{each}.httpGet.host": UNSET for each in PROBES},
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

    pod = meets(spec, {**shared, **SHARED, "automountServiceAccountToken": one_of(False)})
    sysctls = every(spec.each("securityContext", "sysctls"), _safe)
    volumes = every(spec.each("volumes"), _of_the_pod)
    return _joined(pod, sysctls, volumes, every(containers(spec), container_holds))


def _safe(sysctl: Data) -> Result:
    name = sysctl.get("name")
    return None if name in SYSCTLS else Fail(f"{sysctl.path} must be a safe one, got {name}")


def _of_the_pod(volume: Data) -> Result:
    strange = [kind for kind in sorted(volume.keys() - {"name"} - VOLUMES) if volume.has(kind)]
    return _joined(*(Fail(f"{volume.path}.{kind} must not be set") for kind in strange))


NONE = Must("must not be set", lambda value: value in (None, 0))
UNSET = Must("must not be set", lambda value: value is None)
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
VOLUMES = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
     "projected", "secret")
)  # fmt: skip
"""Kinds of volumes that `restricted` allows, and images, which rules about images judge."""

SYSCTLS = frozenset(
    ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
     "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
     "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
     "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem",
     "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem")
)  # fmt: skip
"""Those that the standard allows: each is of the pod's own namespace."""

SHARED: Mapping[str, Must] = {
    "securityContext.windowsOptions.hostProcess": OFF,
    "securityContext.runAsUser": Must(
        "must not be 0", lambda value: value in (None, "") or int(value) > 0
    ),
    "securityContext.appArmorProfile.type": one_of("RuntimeDefault", "Localhost", None),
    "securityContext.seLinuxOptions.user": UNSET,
    "securityContext.seLinuxOptions.role": UNSET,
    "securityContext.seLinuxOptions.type": one_of(
        "container_t", "container_init_t", "container_kvm_t", "container_engine_t", None
    ),
}
"""What a pod may set for all of its containers, and each container for itself."""


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
    specs = pods(resource)
    named = [(each, "image") for spec in specs for each in containers(spec)]
    mounted = [
        (Data(volume.value["image"], f"{volume.path}.image"), "reference")
        for spec in specs
        for volume in spec.each("volumes")
        if volume.keys() & {"image"}
    ]
    return every([*named, *mounted], lambda each: approved(str(each[0].get(each[1])), scope))


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
    applies_to=(*ROLES, *(f"{role}Patch" for role in ROLES), *BINDINGS),
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
    return _joined(_gathered(inputs), every(inputs.each("rules"), _narrow))


def _gathered(role: Data) -> Result:
    """A selector of nothing takes the rights of every role of the cluster together."""
    selectors = role.each("aggregationRule", "clusterRoleSelectors")
    return every(
        selectors, lambda each: None if each.get() else Fail(f"{each.path} must select something")
    )


SUBJECTS = frozenset(
    ("system:anonymous", "system:authenticated", "system:masters", "system:serviceaccounts")
)
BECOMING = {
    "nodes/proxy": frozenset(("create", "delete", "get", "list", "patch", "update", "watch")),
    "serviceaccounts/token": frozenset(("create",)),
    "mutatingwebhookconfigurations": frozenset(("create", "patch", "update")),
    "validatingwebhookconfigurations": frozenset(("create", "delete", "patch", "update")),
    "certificatesigningrequests/approval": frozenset(("patch", "update")),
}
"""Resource -> the verbs by which its holder becomes somebody else, or stops who judges requests."""
ESCALATING = frozenset(("bind", "escalate", "impersonate"))
READING = frozenset(("get", "list", "watch"))


def _bound(binding: Data) -> Iterator[str]:
    if binding.get("roleRef", "name") == "cluster-admin":
        yield "roleRef must not be cluster-admin"
    everybody = SUBJECTS | {"system:unauthenticated"}
    for subject in binding.each("subjects"):
        if (name := subject.get("name")) in everybody:
            yield f"{subject.path} must be somebody, got {name}"
        if subject.get("kind") == "ServiceAccount" and name == "default":
            yield f"{subject.path} must not be default, which every pod has that names none"


def _narrow(rights: Data) -> Result:
    verbs, resources, groups = (
        set(rights.get(key) or ()) for key in ("verbs", "resources", "apiGroups")
    )
    if "*" in verbs | resources | groups | set(rights.get("nonResourceURLs") or ()):
        return Fail(f"{rights.path} must name what it allows, got *")
    if gained := verbs & ESCALATING:
        return Fail(f"{rights.path} must not allow {', '.join(sorted(gained))}")
    if taken := sorted(name for name in resources if name in BECOMING and verbs & BECOMING[name]):
        return Fail(f"{rights.path} must not allow {', '.join(taken)}")
    if "secrets" in resources and verbs & READING and not rights.get("resourceNames"):
        return Fail(f"{rights.path} must name the secrets that may be read")
    return None
