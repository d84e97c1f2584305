"""Namespaces and what has to stand beside the work in them."""

from policies.data import Data, Resource, Unknown
from policies.reading.networks import is_internet, networks
from policies.reading.pods import DEPLOYMENT, JOBS, QUEUE_LABEL, accelerators, containers, pods
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

NAMESPACE = "kubernetes:core/v1:Namespace"
QUOTA = "kubernetes:core/v1:ResourceQuota"
LIMIT_RANGE = "kubernetes:core/v1:LimitRange"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
DISRUPTION_BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
GPU_QUOTAS = frozenset(("requests.nvidia.com/gpu", "limits.nvidia.com/gpu"))


@rule(
    "ML-K8-011",
    applies_to=(NAMESPACE, *JOBS),
    kind="stack",
    severity="medium",
    fix="add a ResourceQuota on requests.nvidia.com/gpu and a LimitRange (infra/teams.py does);\n"
    f"give a job with GPUs the label {QUEUE_LABEL}",
    url="https://kubernetes.io/docs/concepts/policy/resource-quotas/",
    themes=Theme.LIMITS,
)
def require_gpu_quota(resource: Resource, scope: Scope) -> Result:
    """A namespace has a quota of GPUs and defaults of its containers; its GPU jobs wait in a queue.

    Without a quota the first team takes every GPU; outside the queue a job takes those that the
    queue promised to another.
    """
    if resource.type in JOBS:
        return _queued(resource)

    def quota(namespace: Resource) -> Result:
        quotas = _within(scope, namespace, QUOTA)
        limited = [each for each in quotas if each.outputs.keys("spec", "hard") & GPU_QUOTAS]
        return None if limited else Fail("must have a ResourceQuota on requests.nvidia.com/gpu")

    def defaults(namespace: Resource) -> Result:
        return None if _within(scope, namespace, LIMIT_RANGE) else Fail("must have a LimitRange")

    return every((quota, defaults), lambda check: check(resource))


def _queued(job: Resource) -> Result:
    shown = [container for spec in pods(job) for container in containers(spec)]
    if not any(accelerators(container) for container in shown):
        return NotApplicable("no container asks for accelerators")
    labels = job.outputs.keys("metadata", "labels")
    return None if QUEUE_LABEL in labels else Fail(f"metadata.labels must have {QUEUE_LABEL}")


def _within(scope: Scope, namespace: Resource, token: str) -> list[Resource]:
    """The resources of one type in a namespace; unknown where only an undecided one could be."""
    name = namespace.outputs.get("metadata", "name")
    references = scope.references(token, "metadata", "namespace")
    found = references.by_value.get(str(name), []) + references.by_urn.get(namespace.urn, [])
    if not found and references.unknown:
        raise Unknown(*(f"{each.name}.metadata.namespace" for each in references.unknown))
    return found


@rule(
    "ML-K8-015",
    applies_to=NAMESPACE,
    kind="stack",
    severity="medium",
    fix="add a NetworkPolicy with an empty podSelector and the policyTypes Ingress and Egress,\n"
    "and one for what may come and go (infra/teams.py does)",
    url="https://kubernetes.io/docs/concepts/services-networking/network-policies/",
    themes=Theme.NETWORK_ISOLATION,
)
def require_network_policy(resource: Resource, scope: Scope) -> Result:
    """Nothing enters or leaves the pods of a namespace that no policy allows.

    Without one, every pod of the cluster may ask a model and read what a training job serves.
    """
    closed: set[str] = set()
    policies = _within(scope, resource, NETWORK_POLICY)
    if opened := every(policies, _opens):
        return opened
    for policy in policies:
        if not policy.outputs.get("spec", "podSelector"):
            closed.update(policy.outputs.get("spec", "policyTypes") or ("Ingress",))
    missing = [kind for kind in ("Ingress", "Egress") if kind not in closed]
    return (
        Fail(f"must have a NetworkPolicy of all pods for {', '.join(missing)}") if missing else None
    )


def _opens(policy: Resource) -> Result:
    """Policies add up: one that lets everybody in undoes those that let nobody in."""
    for way, end in (("ingress", "from"), ("egress", "to")):
        for let in policy.outputs.each("spec", way):
            peers = let.each(end)
            ranges = [peer.get("ipBlock", "cidr") for peer in peers] if way == "ingress" else ()
            if not (peers or let.each("ports")) or (ranges and is_internet(networks(ranges))):
                return Fail(f"NetworkPolicy {policy.name}: {let.path} must name who and what")
    return None


@rule(
    "ML-K8-020",
    applies_to=NAMESPACE,
    severity="high",
    fix="label the namespace pod-security.kubernetes.io/enforce: restricted (or baseline, for\n"
    "agents that need a little more)",
    url="https://kubernetes.io/docs/concepts/security/pod-security-admission/",
    themes=Theme.LEAST_PRIVILEGE,
)
def require_pod_security(resource: Resource, scope: Scope) -> Result:
    """The API server refuses pods of a namespace that take part of the node.

    A review sees the pods of this program alone; labels that warn or audit refuse nothing.
    """
    name = resource.inputs.get("metadata", "name")
    if str(name).startswith("kube-"):
        return NotApplicable("it is the cluster's own")
    level = resource.inputs.get("metadata", "labels", ENFORCE)
    if level in ("restricted", "baseline"):
        return None
    return Fail(f"metadata.labels[{ENFORCE}] must be restricted or baseline, got {level or 'none'}")


ENFORCE = "pod-security.kubernetes.io/enforce"


@rule(
    "ML-K8-016",
    applies_to=DEPLOYMENT,
    kind="stack",
    severity="medium",
    fix="run two replicas spread over zones, with a PodDisruptionBudget that lets one go",
    url="https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
    themes=Theme.AVAILABILITY,
)
def require_available_server(resource: Resource, scope: Scope) -> Result:
    """In production, what serves has two replicas in two places, of which a disruption takes one.

    A budget that lets none go is no better: the node is then never drained, or drained by force.
    """
    if not scope.config.production:
        return NotApplicable("it is required in production")
    spec = resource.outputs.at("spec")
    pod = spec.at("template", "spec")
    if not any(container.has("ports") for container in containers(pod)):
        return NotApplicable("no container has a port")

    def replicas(_: Data) -> Result:
        count = 1 if spec.get("replicas") is None else int(spec.get("replicas"))
        return None if count >= 2 else Fail(f"spec.replicas must be at least 2, got {count}")

    def spread(_: Data) -> Result:
        apart = pod.has("topologySpreadConstraints") or pod.has("affinity", "podAntiAffinity")
        return None if apart else Fail("spec.template.spec.topologySpreadConstraints must be set")

    def budget(_: Data) -> Result:
        return _disruptible(resource, scope)

    return every((replicas, spread, budget), lambda check: check(spec))


def _disruptible(server: Resource, scope: Scope) -> Result:
    labels = server.outputs.get("spec", "template", "metadata", "labels") or {}
    namespace = server.outputs.get("metadata", "namespace")
    for budget in scope.of_type(DISRUPTION_BUDGET):
        wanted = budget.outputs.get("spec", "selector", "matchLabels") or {}
        there = budget.outputs.get("metadata", "namespace") == namespace
        if there and wanted and wanted.items() <= labels.items():
            return _lets_go(budget, server.outputs.get("spec", "replicas"))
    return Fail("must have a PodDisruptionBudget, got none")


def _lets_go(budget: Resource, replicas: int | None) -> Result:
    most = str(budget.outputs.get("spec", "maxUnavailable"))
    least = str(budget.outputs.get("spec", "minAvailable"))
    stuck = most in ("0", "0%") or least == "100%"
    stuck = stuck or (least.isdigit() and int(least) >= int(replicas or 1))
    return Fail(f"PodDisruptionBudget {budget.name} must let one replica go") if stuck else None
