"""Programs for the rules about pods, namespaces and rights in a cluster; see case.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

from tests.policies.cases.case import ACCOUNT, DIGEST, IMAGE, Case, Program, later
from tests.policies.cases.platform import tagged

NOTHING = "no resource of this kind"
OURS = {"approved_registries": [ACCOUNT]}
GPUS = {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
PLAIN = {"cpu": "1", "memory": "1Gi"}
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
PROBE = {"httpGet": {"path": "/health", "port": 8000}}


def container(**changes: Any) -> dict[str, Any]:
    shape = {
        "name": "server",
        "image": f"{IMAGE}@{DIGEST}",
        "ports": [{"containerPort": 8000}],
        "resources": {"requests": GPUS, "limits": GPUS},
        **{f"{name}Probe": PROBE for name in ("startup", "readiness", "liveness")},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {**shape, **changes}


def pod(*containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    shape = {
        "automountServiceAccountToken": False,
        "nodeSelector": {"plinth.dev/pool": "gpu"},
        "tolerations": [TOLERATION],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "containers": list(containers) or [container()],
    }
    return {key: value for key, value in {**shape, **changes}.items() if value is not None}


def idle_pod(**changes: Any) -> dict[str, Any]:
    """A pod that asks for no GPU."""
    mine = container(resources={"requests": PLAIN, "limits": PLAIN})
    return pod(mine, **{"tolerations": None, **changes})


def server(spec: Any = None, replicas: Any = 2) -> None:
    kubernetes.apps.v1.Deployment(
        "server",
        metadata={"name": "server", "namespace": "serving"},
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "server"}},
            "template": {
                "metadata": {"labels": {"app": "server", "team": "serving"}},
                "spec": spec or pod(),
            },
        },
    )


def made(token: str, spec: Any, labels: Any = None) -> None:
    """A resource of any kind, such as batch/v1:CronJob."""
    version, _, kind = token.rpartition(":")
    CustomResource(
        "made",
        api_version=version,
        kind=kind,
        metadata={"name": "made", "namespace": "serving", "labels": labels or {}},
        spec=spec,
    )


def job(spec: Any = None, queue: str | None = "main") -> None:
    labels = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
    made("batch/v1:Job", {"template": {"spec": spec or pod()}}, labels)


def ray(head: Any, worker: Any) -> None:
    groups = [{"template": {"spec": worker}}]
    cluster = {"headGroupSpec": {"template": {"spec": head}}, "workerGroupSpecs": groups}
    made("ray.io/v1:RayJob", {"rayClusterSpec": cluster})


def writable() -> dict[str, Any]:
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return container(securityContext=context)


def cron_job(spec: Any) -> None:
    made("batch/v1:CronJob", {"jobTemplate": {"spec": {"template": {"spec": spec}}}})


def loose() -> dict[str, Any]:
    """A pod with every fault that Pod Security knows."""
    bad = container(image="vllm:latest", securityContext={"privileged": True}, resources={})
    bad = {key: value for key, value in bad.items() if not key.endswith("Probe")}
    return pod(bad, hostNetwork=True, securityContext=None, automountServiceAccountToken=None)


def role(**rights: Any) -> None:
    shape = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rights}
    kubernetes.rbac.v1.ClusterRole("role", metadata={"name": "role"}, rules=[shape])


def binding(role: str = "member", subject: Any = "team") -> None:
    kubernetes.rbac.v1.ClusterRoleBinding(
        "binding",
        metadata={"name": "binding"},
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        subjects=[{"kind": "Group", "name": subject}],
    )


def namespace(
    *,
    hard: Any = ("requests.nvidia.com/gpu",),
    inside: Any = "serving",
    without: tuple[str, ...] = (),
    selector: Any = None,
    types: tuple[str, ...] = ("Ingress", "Egress"),
) -> None:
    there = {"name": "x", "namespace": inside}
    parts: dict[str, Program] = {
        "quota": lambda: kubernetes.core.v1.ResourceQuota(
            "quota", metadata=there, spec={"hard": dict.fromkeys(hard, "4")}
        ),
        "limits": lambda: kubernetes.core.v1.LimitRange(
            "limits", metadata=there, spec={"limits": []}
        ),
        "policy": lambda: kubernetes.networking.v1.NetworkPolicy(
            "policy",
            metadata=there,
            spec={"podSelector": selector or {}, "policyTypes": list(types)},
        ),
    }
    kubernetes.core.v1.Namespace("serving", metadata={"name": "serving"})
    for part, make in parts.items():
        if part not in without:
            make()


def available(budget: Any = None, replicas: Any = 2, **changes: Any) -> None:
    server(pod(**changes), replicas)
    spec = {"selector": {"matchLabels": {"app": "server"}}, **(budget or {"maxUnavailable": 1})}
    kubernetes.policy.v1.PodDisruptionBudget(
        "budget", metadata={"name": "budget", "namespace": "serving"}, spec=spec
    )


def asking(limits: Any, **requests: Any) -> dict[str, Any]:
    return pod(container(resources={"requests": requests, "limits": limits}))


def single_pod() -> None:
    first = {"name": "setup", "image": "setup:1"}
    spec: Any = {"containers": [], "initContainers": [first]}
    kubernetes.core.v1.Pod("pod", metadata={"name": "pod"}, spec=spec)


def unknown_image() -> None:
    server(pod(container(image=later())))


PODS = [
    Case(rule="ML-K8-010", status="pass", program=server),
    Case(rule="ML-K8-010", status="pass", program=partial(job, pod(tolerations=None))),
    Case(
        rule="ML-K8-010",
        status="pass",
        program=lambda: made(
            "apps/v1:DaemonSet", {"template": {"spec": idle_pod(tolerations=[TOLERATION])}}
        ),
    ),
    Case(
        rule="ML-K8-010",
        status="fail",
        program=partial(server, pod(tolerations=None)),
        says="spec.template.spec.tolerations must have nvidia.com/gpu",
    ),
    Case(
        rule="ML-K8-010",
        status="fail",
        program=partial(server, pod(nodeSelector=None)),
        says="nodeSelector must name the nodes",
    ),
    Case(
        rule="ML-K8-010",
        status="fail",
        program=partial(server, asking({"nvidia.com/gpu": "2"}, **{"nvidia.com/gpu": "1"})),
        says="must be as much as is requested, got 2 of 1",
    ),
    Case(
        rule="ML-K8-010",
        status="fail",
        program=partial(server, asking({}, **{"aws.amazon.com/neuron": "1"})),
        says="limits[aws.amazon.com/neuron] must be as much as is requested, got None of 1",
    ),
    Case(
        rule="ML-K8-010",
        status="fail",
        program=partial(cron_job, idle_pod(tolerations=[TOLERATION])),
        says="spec.jobTemplate.spec.template.spec.tolerations must not have nvidia.com/gpu",
    ),
    Case(
        rule="ML-K8-010",
        status="unknown",
        program=lambda: server(pod(container(resources=later()))),
        preview=True,
        says="resources",
    ),
    Case(
        rule="ML-K8-010",
        status="not_applicable",
        program=partial(server, idle_pod()),
        says="no pod asks",
    ),
    Case(rule="ML-K8-012", status="pass", program=server),
    Case(rule="ML-K8-012", status="pass", program=partial(ray, pod(writable()), pod(writable()))),
    Case(
        rule="ML-K8-012",
        status="fail",
        program=partial(server, loose()),
        says="spec.template.spec.hostNetwork must not be true, got true; spec.template.spec."
        "automountServiceAccountToken must be false, got none; spec.template.spec.containers[0]."
        "securityContext.allowPrivilegeEscalation must be false, got none; ",
    ),
    Case(
        rule="ML-K8-012",
        status="fail",
        program=partial(server, loose()),
        says="capabilities.drop must have ALL, got none; spec.template.spec.containers[0]."
        "securityContext.privileged must not be true, got true; spec.template.spec.containers[0]."
        "securityContext.readOnlyRootFilesystem must be true, got none; spec.template.spec."
        "containers[0].securityContext.runAsNonRoot must be true, got none; spec.template.spec."
        "containers[0].securityContext.seccompProfile.type must be one of",
    ),
    Case(
        rule="ML-K8-012",
        status="fail",
        program=partial(ray, pod(writable()), loose()),
        says="spec.rayClusterSpec.workerGroupSpecs[0].template.spec.hostNetwork must not be true",
    ),
    Case(
        rule="ML-K8-012",
        status="unknown",
        program=lambda: server(pod(hostPID=later())),
        preview=True,
        says="hostPID",
    ),
    Case(rule="ML-K8-012", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-013", status="pass", program=server, config=OURS),
    Case(
        rule="ML-K8-013",
        status="fail",
        program=single_pod,
        config=OURS,
        says=f"image must come from {ACCOUNT}, got 'setup:1'",
    ),
    Case(
        rule="ML-K8-013",
        status="fail",
        program=partial(server, pod(container(image=f"{IMAGE}:1"))),
        config=OURS,
        says="must be pinned by digest",
    ),
    Case(
        rule="ML-K8-013",
        status="unknown",
        program=unknown_image,
        preview=True,
        config=OURS,
        says="containers[0].image",
    ),
    Case(rule="ML-K8-013", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-014", status="pass", program=server),
    Case(
        rule="ML-K8-014",
        status="fail",
        program=partial(server, loose()),
        says="requests.cpu must be set, got none; spec.template.spec.containers[0].resources."
        "requests.memory must be set, got none; spec.template.spec.containers[0].resources.limits."
        "memory must be set, got none; spec.template.spec.containers[0].livenessProbe must be set, "
        "got none; spec.template.spec.containers[0].readinessProbe must be set, got none; "
        "spec.template.spec.containers[0].startupProbe must be set, got none",
    ),
    Case(
        rule="ML-K8-014",
        status="pass",
        program=partial(job, pod({"resources": {"requests": PLAIN, "limits": PLAIN}})),
    ),
    Case(
        rule="ML-K8-014",
        status="unknown",
        program=lambda: server(pod(container(startupProbe=later()))),
        preview=True,
        says="startupProbe",
    ),
    Case(rule="ML-K8-014", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-017", status="pass", program=role),
    Case(rule="ML-K8-017", status="pass", program=binding),
    Case(
        rule="ML-K8-017",
        status="pass",
        program=partial(role, resources=["secrets"], resourceNames=["token"]),
    ),
    Case(rule="ML-K8-017", status="fail", program=partial(role, verbs=["*"]), says="got *"),
    Case(rule="ML-K8-017", status="fail", program=partial(role, apiGroups=["*"]), says="got *"),
    Case(
        rule="ML-K8-017",
        status="fail",
        program=partial(role, resources=["secrets"]),
        says="must name the secrets",
    ),
    Case(
        rule="ML-K8-017",
        status="fail",
        program=partial(role, resources=["nodes/proxy"]),
        says="must not allow nodes/proxy",
    ),
    Case(
        rule="ML-K8-017",
        status="fail",
        program=partial(role, verbs=["bind", "impersonate"]),
        says="must not allow bind, impersonate",
    ),
    Case(
        rule="ML-K8-017",
        status="fail",
        program=partial(binding, "cluster-admin", "system:authenticated"),
        says="must not be cluster-admin; subjects[0] must be somebody, got system:authenticated",
    ),
    Case(
        rule="ML-K8-017",
        status="unknown",
        program=lambda: role(verbs=[later()]),
        preview=True,
        says="verbs[0]",
    ),
    Case(rule="ML-K8-017", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-011", status="pass", program=namespace),
    Case(rule="ML-K8-011", status="pass", program=job),
    Case(
        rule="ML-K8-011",
        status="fail",
        program=partial(namespace, hard=("pods",), without=("limits",)),
        says="must have a ResourceQuota on requests.nvidia.com/gpu; must have a LimitRange",
    ),
    Case(
        rule="ML-K8-011",
        status="fail",
        program=partial(namespace, inside="elsewhere"),
        says="must have a ResourceQuota",
    ),
    Case(
        rule="ML-K8-011",
        status="fail",
        program=partial(job, queue=None),
        says="must have kueue.x-k8s.io/queue-name",
    ),
    Case(
        rule="ML-K8-011",
        status="unknown",
        program=lambda: namespace(inside=later()),
        preview=True,
        says="quota.metadata.namespace",
    ),
    Case(
        rule="ML-K8-011",
        status="not_applicable",
        program=partial(job, idle_pod(), queue=None),
        says="no container asks",
    ),
    Case(rule="ML-K8-015", status="pass", program=namespace),
    Case(
        rule="ML-K8-015",
        status="fail",
        program=partial(namespace, types=("Ingress",)),
        says="for Egress",
    ),
    Case(
        rule="ML-K8-015",
        status="fail",
        program=partial(namespace, selector={"matchLabels": {"app": "x"}}),
        says="for Ingress, Egress",
    ),
    Case(
        rule="ML-K8-015",
        status="unknown",
        program=lambda: namespace(inside=later()),
        preview=True,
        says="policy.metadata.namespace",
    ),
    Case(rule="ML-K8-015", status="not_applicable", program=tagged, says=NOTHING),
    Case(rule="ML-K8-016", status="pass", program=available),
    Case(
        rule="ML-K8-016",
        status="fail",
        program=partial(server, pod(topologySpreadConstraints=None), 1),
        says="replicas must be at least 2, got 1; spec.template.spec.topologySpreadConstraints "
        "must be set; must have a PodDisruptionBudget, got none",
    ),
    *(
        Case(
            rule="ML-K8-016",
            status="fail",
            program=partial(available, budget),
            says="PodDisruptionBudget budget must let one replica go",
        )
        for budget in ({"maxUnavailable": 0}, {"minAvailable": 2}, {"minAvailable": "100%"})
    ),
    Case(
        rule="ML-K8-016",
        status="fail",
        program=partial(available, {"selector": {"matchLabels": {"app": "other"}}}),
        says="got none",
    ),
    Case(
        rule="ML-K8-016",
        status="unknown",
        program=lambda: available(replicas=later()),
        preview=True,
        says="replicas",
    ),
    Case(
        rule="ML-K8-016",
        status="not_applicable",
        program=available,
        config={"production": False},
        says="in production",
    ),
]
