"""What runs on every GPU node: device plugins that offer GPUs and EFA, and GPU metrics."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE
from infra.nodes import AMI_LABEL, sharing_config

NAMESPACE = "kube-system"
TOLERATIONS = [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]


@dataclass(frozen=True, kw_only=True)
class GpuAgentsArgs(ComponentArgs):
    """Pinned charts. The component's provider for Kubernetes is the cluster's."""

    device_plugin_version: str
    dcgm_exporter_version: str
    efa_device_plugin_version: str

    time_slicing_replicas: Sequence[int] = ()
    """How many pods take turns on a GPU, for every pool that shares. Default: no pool does."""

    efa: bool = False
    """Some pool has Elastic Fabric Adapters. Default: none, and no plugin for them."""

    image_registry: str | None = None
    """Registry that mirrors nvcr.io and public.ecr.aws. Default: those themselves."""


class GpuAgents(Component):
    """NVIDIA's device plugin and DCGM exporter, and the EFA device plugin, as pinned charts."""

    def __init__(
        self, name: str, args: GpuAgentsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        self._release(
            "nvidia-device-plugin",
            "https://nvidia.github.io/k8s-device-plugin",
            args.device_plugin_version,
            "nvidia/k8s-device-plugin",
            {
                # Bottlerocket brings a device plugin of its own
                "nodeSelector": {AMI_LABEL: "al2023-nvidia"},
                "config": {"default": "whole", "map": plugin_configs(args.time_slicing_replicas)},
            },
        )
        self._release(
            "dcgm-exporter",
            "https://nvidia.github.io/dcgm-exporter/helm-charts",
            args.dcgm_exporter_version,
            "nvidia/k8s/dcgm-exporter",
            {
                "nodeSelector": {"nvidia.com/gpu.present": "true"},
                "serviceMonitor": {"enabled": False},  # asks for Prometheus' operator
                "service": {"annotations": {"prometheus.io/scrape": "true"}},
            },
        )
        if args.efa:
            self._release(
                "aws-efa-k8s-device-plugin",
                "https://aws.github.io/eks-charts",
                args.efa_device_plugin_version,
                "eks/aws-efa-k8s-device-plugin",
                {"nodeSelector": {"vpc.amazonaws.com/efa.present": "true"}},
            )
        self.seal()

    def _release(
        self, chart: str, repository: str, version: str, image: str, values: Mapping[str, Any]
    ) -> None:
        registry = self._args.image_registry
        mirrored = {"image": {"repository": f"{registry}/{image}"}} if registry else {}
        kubernetes.helm.v3.Release(
            f"{self.component_name}-{chart}",
            name=chart,
            namespace=NAMESPACE,
            chart=chart,
            version=version,
            repository_opts={"repo": repository},
            values={"tolerations": TOLERATIONS, **mirrored, **values},
            skip_await=True,  # without a GPU node there is nothing to wait for
            opts=self.child,
        )


def plugin_configs(replicas: Sequence[int]) -> dict[str, str]:
    """Configurations of NVIDIA's device plugin by name; a node's label picks one.

    (k8s-device-plugin, shared access to GPUs with CUDA time-slicing.)
    """
    whole: dict[str, Any] = {"version": "v1", "flags": {"migStrategy": "none"}}

    def sliced(count: int) -> dict[str, Any]:
        shared = {"resources": [{"name": GPU_RESOURCE, "replicas": count}]}
        # a pod that asks for two slices would get no more than one that asks for one
        return {**whole, "sharing": {"timeSlicing": {"failRequestsGreaterThanOne": True, **shared}}}

    configs = {"whole": whole, **{sharing_config(n): sliced(n) for n in sorted(set(replicas))}}
    return {name: json.dumps(config, sort_keys=True) for name, config in configs.items()}
