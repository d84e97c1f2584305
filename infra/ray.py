"""Ray on Kubernetes: the KubeRay operator and a cluster of a team's that waits in its queue."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE, POOL_LABEL, TEAM_LABEL

OPERATOR_NAMESPACE = "kuberay-system"
OPERATOR_REPOSITORY = "https://ray-project.github.io/kuberay-helm/"

RAY_USER = 1000
"""User `ray` of the official images (rayproject/ray, Dockerfile)."""


@dataclass(frozen=True, kw_only=True)
class RayArgs(ComponentArgs):
    """A Ray cluster and whose it is."""

    operator_version: str
    """Version of KubeRay's chart."""

    team: str
    """Namespace it runs in and quota it uses."""

    service_account: str
    queue: str | None
    """LocalQueue that the cluster waits in until all of it fits; None: no Kueue."""

    priority_class: str
    image: str
    """Image with Ray, by digest."""

    ray_version: str
    """Version of Ray in the image."""

    pool: str
    workers: int
    gpus_per_worker: int
    worker_cpu: int = 8
    """vCPUs of a worker. Default: 8."""

    worker_memory_gib: int = 32
    """Memory of a worker. Default: 32 GiB."""


class Ray(Component):
    """The operator, for this team's namespace alone, and one RayCluster with GPU workers.

    The head asks for no GPU and does no work, so it runs outside the pool. Kueue admits head and
    workers together or not at all, which is why the cluster does not scale itself.
    """

    def __init__(
        self, name: str, args: RayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        operator = kubernetes.helm.v3.Release(
            f"{name}-operator",
            name="kuberay-operator",
            chart="kuberay-operator",
            version=args.operator_version,
            repository_opts={"repo": OPERATOR_REPOSITORY},
            namespace=OPERATOR_NAMESPACE,
            create_namespace=True,
            atomic=True,
            values={
                "nodeSelector": {POOL_LABEL: "system"},
                "priorityClassName": "system-cluster-critical",
                "watchNamespace": [args.team],
            },
            opts=self.child,
        )
        kubernetes.apiextensions.CustomResource(
            f"{name}-cluster",
            api_version="ray.io/v1",
            kind="RayCluster",
            metadata={
                "name": "ray",
                "namespace": args.team,
                "labels": {TEAM_LABEL: args.team, **_queue_label(args.queue)},
            },
            spec=cluster_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[operator]),
        )
        self.seal()


def cluster_spec(args: RayArgs) -> dict[str, Any]:
    """A head and one group of equal workers."""
    head = {"cpu": "2", "memory": "8Gi"}
    worker = {"cpu": str(args.worker_cpu), "memory": f"{args.worker_memory_gib}Gi"}
    gpus = {GPU_RESOURCE: str(args.gpus_per_worker)}
    on_gpus = {
        "nodeSelector": {POOL_LABEL: args.pool},
        "priorityClassName": args.priority_class,
        "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}],
    }
    return {
        "rayVersion": args.ray_version,
        "enableInTreeAutoscaling": False,
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0"},
            "template": _template(args, "ray-head", {"requests": head, "limits": head}, {}),
        },
        "workerGroupSpecs": [
            {
                "groupName": args.pool,
                "replicas": args.workers,
                "minReplicas": args.workers,
                "maxReplicas": args.workers,
                "rayStartParams": {},
                "template": _template(
                    args,
                    "ray-worker",
                    {"requests": {**worker, **gpus}, "limits": {**worker, **gpus}},
                    on_gpus,
                ),
            }
        ],
    }


def _template(
    args: RayArgs, container: str, resources: dict[str, Any], placement: dict[str, Any]
) -> dict[str, Any]:
    """A pod that passes Pod Security's standard `restricted`."""
    return {
        "metadata": {"labels": {TEAM_LABEL: args.team}},
        "spec": {
            "serviceAccountName": args.service_account,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": RAY_USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": container,
                    "image": args.image,
                    "resources": resources,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
            **placement,
        },
    }


def _queue_label(queue: str | None) -> dict[str, str]:
    return {} if queue is None else {"kueue.x-k8s.io/queue-name": queue}
