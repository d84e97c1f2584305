"""A large language model served by vLLM on the cluster's GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE, POOL_LABEL, TEAM_LABEL

PORT = 8000
"""Where vLLM's OpenAI-compatible server listens (vLLM, OpenAI-Compatible Server)."""

USER = 2000
"""Any user but root; the image needs nothing of root's."""

APP_LABEL = "app.kubernetes.io/name"


@dataclass(frozen=True, kw_only=True)
class LlmDeploymentArgs(ComponentArgs):
    """A model, what it runs on, and who may ask it."""

    team: str
    """Namespace it runs in and quota it uses."""

    image: str
    """Image with vLLM, by digest."""

    model_uri: str
    """Folder in S3 with the weights; vLLM streams them to the GPUs."""

    gpus: int
    """GPUs of one replica: the weights are split over them."""

    cpu: int
    memory_gib: int
    pool: str
    priority_class: str
    replicas: int

    max_replicas: int | None = None
    """Replicas under load, by the metric `vllm:num_requests_waiting`, which a metrics adapter must
    serve. Default: always `replicas`."""

    max_model_len: int | None = None
    """Tokens of prompt and answer together. Default: what the model was trained for."""

    client_namespaces: Sequence[str] = ()
    """Namespaces whose pods may ask it, beside its own. Default: none."""


class LlmDeployment(Component):
    """vLLM behind a service, which a disruption never takes away whole.

    A new version takes the GPUs of an old replica instead of further ones: under a quota there may
    be none.
    """

    service_account: str

    def __init__(
        self, name: str, args: LlmDeploymentArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self.service_account = name
        labels = {APP_LABEL: name, TEAM_LABEL: args.team}
        metadata = ObjectMetaArgs(name=name, namespace=args.team, labels=labels)
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=self.child,
        )
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec=deployment_spec(name, args, labels),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account],
                # the autoscaler's to change
                ignore_changes=[] if args.max_replicas is None else ["spec.replicas"],
            ),
        )
        kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec={
                "selector": {APP_LABEL: name},
                "ports": [{"name": "http", "port": 80, "target_port": PORT}],
            },
            opts=self.child,
        )
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{name}-budget",
            metadata=metadata,
            spec={"max_unavailable": 1, "selector": {"match_labels": {APP_LABEL: name}}},
            opts=self.child,
        )
        if args.client_namespaces:
            self._clients(metadata, args.client_namespaces)
        if args.max_replicas is not None:
            kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
                f"{name}-autoscaler",
                metadata=metadata,
                spec=autoscaler_spec(name, args.replicas, args.max_replicas),
                opts=self.child,
            )
        self.seal()

    def _clients(self, metadata: ObjectMetaArgs, namespaces: Sequence[str]) -> None:
        names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
        spec: Any = {
            "podSelector": {"matchLabels": {APP_LABEL: self.component_name}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {"matchExpressions": [names]}}],
                    "ports": [{"port": PORT, "protocol": "TCP"}],
                }
            ],
        }
        kubernetes.networking.v1.NetworkPolicy(
            f"{self.component_name}-clients", metadata=metadata, spec=spec, opts=self.child
        )


def deployment_spec(name: str, args: LlmDeploymentArgs, labels: dict[str, str]) -> Any:
    """Replicas spread over zones, each on GPUs of its own."""
    zones = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {APP_LABEL: name}},
    }
    return {
        "replicas": args.replicas,
        "selector": {"matchLabels": {APP_LABEL: name}},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        },
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": name,
                "automountServiceAccountToken": False,
                "priorityClassName": args.priority_class,
                "nodeSelector": {POOL_LABEL: args.pool},
                "tolerations": [
                    {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
                ],
                "topologySpreadConstraints": [zones],
                "terminationGracePeriodSeconds": 120,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "fsGroup": USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [_container(name, args)],
                "volumes": [
                    # tensor parallel processes exchange tensors in shared memory
                    {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}},
                    {"name": "home", "emptyDir": {}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        },
    }


def _container(name: str, args: LlmDeploymentArgs) -> dict[str, Any]:
    asked = {
        "cpu": str(args.cpu),
        "memory": f"{args.memory_gib}Gi",
        GPU_RESOURCE: str(args.gpus),
    }
    length = [] if args.max_model_len is None else [f"--max-model-len={args.max_model_len}"]
    health = {"httpGet": {"path": "/health", "port": PORT}}
    return {
        "name": "vllm",
        "image": args.image,
        "args": [
            f"--model={args.model_uri}",
            f"--served-model-name={name}",
            f"--port={PORT}",
            f"--tensor-parallel-size={args.gpus}",
            "--load-format=runai_streamer",
            *length,
        ],
        "env": [
            {"name": "AWS_REGION", "value": args.names.region},
            {"name": "HF_HUB_OFFLINE", "value": "1"},
            {"name": "HOME", "value": "/home/vllm"},
            {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"requests": asked, "limits": asked},
        # half an hour for the weights of the largest models
        "startupProbe": {**health, "periodSeconds": 10, "failureThreshold": 180},
        "readinessProbe": {**health, "periodSeconds": 5},
        "livenessProbe": {**health, "periodSeconds": 10, "failureThreshold": 6},
        # the service forgets the pod before it stops to answer
        "lifecycle": {"preStop": {"sleep": {"seconds": 15}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "home", "mountPath": "/home/vllm"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def autoscaler_spec(name: str, replicas: int, max_replicas: int) -> Any:
    """More replicas while requests wait; fewer only after ten quiet minutes."""
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": replicas,
        "maxReplicas": max_replicas,
        "metrics": [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "vllm:num_requests_waiting"},
                    "target": {"type": "AverageValue", "averageValue": "5"},
                },
            }
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
    }
