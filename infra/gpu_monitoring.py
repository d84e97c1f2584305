"""What GPUs tell: a Grafana dashboard and Prometheus alerts on the metrics of DCGM."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.component import Component, ComponentArgs

NAMESPACE = "kube-system"

XIDS: Mapping[str, tuple[int, ...]] = {
    "isolate": (48, 64, 74, 79, 95, 140),
    "reboot": (46, 62, 109, 110, 119, 120),
    "reset": (63, 94),
    "monitor": (13, 31, 43, 45, 68),
}
"""What to do with a node by the Xid error it reports: take it out of service and replace it, start
it anew, reset the GPU, or watch it, as it is mostly the program (NVIDIA GPU deployment and
management documentation, Xid errors)."""

SEVERITIES = {"isolate": "critical", "reboot": "critical", "reset": "warning", "monitor": "info"}


@dataclass(frozen=True)
class Alert:
    """A condition that holds for so long."""

    expression: str
    minutes: int
    severity: str
    summary: str


ALERTS: Mapping[str, Alert] = {
    **{
        f"GpuXid{action.capitalize()}": Alert(
            " or ".join(f"DCGM_FI_DEV_XID_ERRORS == {xid}" for xid in xids),
            0,
            SEVERITIES[action],
            "Xid {{ $value }} on {{ $labels.Hostname }}: " + action,
        )
        for action, xids in XIDS.items()
    },
    "GpuDoubleBitErrors": Alert(
        "increase(DCGM_FI_DEV_ECC_DBE_VOL_TOTAL[10m]) > 0",
        0,
        "critical",
        "Memory of GPU {{ $labels.gpu }} on {{ $labels.Hostname }} is damaged",
    ),
    "GpuHot": Alert(
        "DCGM_FI_DEV_GPU_TEMP > 85",
        10,
        "warning",
        "GPU {{ $labels.gpu }} on {{ $labels.Hostname }} is at {{ $value }} degrees Celsius",
    ),
    "GpuIdle": Alert(
        'avg by (exported_namespace, exported_pod) (DCGM_FI_DEV_GPU_UTIL{exported_pod!=""}) < 5',
        60,
        "warning",
        "Pod {{ $labels.exported_pod }} has held a GPU for an hour and hardly used it",
    ),
    "GpuQuotaSpent": Alert(
        'kube_resourcequota{resource="requests.nvidia.com/gpu",type="used"} / ignoring(type) '
        'kube_resourcequota{resource="requests.nvidia.com/gpu",type="hard"} >= 1',
        30,
        "info",
        "Namespace {{ $labels.namespace }} has used all of its GPUs for half an hour",
    ),
    "GpuMetricsMissing": Alert(
        'kube_node_labels{label_nvidia_com_gpu_present="true"} unless on (node) '
        'label_replace(DCGM_FI_DEV_GPU_TEMP, "node", "$1", "Hostname", "(.+)")',
        15,
        "warning",
        "Node {{ $labels.node }} has GPUs and tells nothing of them",
    ),
}
"""By name. Nothing here repairs: EKS replaces nodes that its monitoring agent finds broken."""

PANELS: tuple[tuple[str, str, str, str], ...] = (
    ("Utilisation", "percent", "avg by (Hostname) (DCGM_FI_DEV_GPU_UTIL)", "{{Hostname}}"),
    ("Memory used", "decmbytes", "sum by (Hostname) (DCGM_FI_DEV_FB_USED)", "{{Hostname}}"),
    ("Temperature", "celsius", "max by (Hostname) (DCGM_FI_DEV_GPU_TEMP)", "{{Hostname}}"),
    ("Power", "watt", "sum by (Hostname) (DCGM_FI_DEV_POWER_USAGE)", "{{Hostname}}"),
    ("Xid errors", "none", "max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS)", "{{Hostname}}"),
    (
        "Damaged memory",
        "none",
        "sum by (Hostname) (DCGM_FI_DEV_ECC_DBE_VOL_TOTAL)",
        "{{Hostname}}",
    ),
    (
        "GPUs in use by namespace",
        "none",
        'sum by (namespace) (kube_resourcequota{resource="requests.nvidia.com/gpu",type="used"})',
        "{{namespace}}",
    ),
)
"""Title, unit, query and legend."""


@dataclass(frozen=True, kw_only=True)
class GpuMonitoringArgs(ComponentArgs):
    """How the cluster's Prometheus takes rules. The provider for Kubernetes is the cluster's."""

    prometheus_operator: bool = False
    """The rules are a PrometheusRule of Prometheus' operator, which must be there. Default: a
    ConfigMap with a rules file, for any Prometheus to mount."""


class GpuMonitoring(Component):
    """A dashboard that Grafana's sidecar picks up by its label, and alerts for Prometheus."""

    def __init__(
        self, name: str, args: GpuMonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._config_map("dashboard", {"gpu-nodes.json": dashboard()}, {"grafana_dashboard": "1"})
        groups = {"groups": [{"name": "gpu", "rules": rules()}]}
        if args.prometheus_operator:
            kubernetes.apiextensions.CustomResource(
                f"{name}-rules",
                api_version="monitoring.coreos.com/v1",
                kind="PrometheusRule",
                metadata=ObjectMetaArgs(name="plinth-gpu-rules", namespace=NAMESPACE),
                spec=groups,
                opts=self.child,
            )
        else:
            text = json.dumps(groups, sort_keys=True, indent=1)  # JSON is YAML
            self._config_map("rules", {"gpu.yaml": text}, {"prometheus_rules": "1"})
        self.seal()

    def _config_map(self, role: str, data: Mapping[str, str], labels: Mapping[str, str]) -> None:
        kubernetes.core.v1.ConfigMap(
            f"{self.component_name}-{role}",
            metadata=ObjectMetaArgs(
                name=f"plinth-gpu-{role}", namespace=NAMESPACE, labels=dict(labels)
            ),
            data=dict(data),
            opts=self.child,
        )


def rules() -> list[dict[str, Any]]:
    """The alerts in Prometheus' words."""
    return [
        {
            "alert": name,
            "expr": alert.expression,
            "for": f"{alert.minutes}m",
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary},
        }
        for name, alert in sorted(ALERTS.items())
    ]


def dashboard() -> str:
    """The dashboard as JSON, the same text for the same panels."""
    from grafana_foundation_sdk.builders import dashboard as dashboards
    from grafana_foundation_sdk.builders import prometheus, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    builder = dashboards.Dashboard("GPU nodes").uid("plinth-gpu-nodes").refresh("1m")
    builder = builder.time("now-6h", "now").tags(["gpu", "plinth"])
    for title, unit, query, legend in PANELS:
        target = prometheus.Dataquery().expr(query).legend_format(legend)
        builder = builder.with_panel(timeseries.Panel().title(title).unit(unit).with_target(target))
    built = json.loads(JSONEncoder().encode(builder.build()))
    return json.dumps(built, sort_keys=True, indent=1)
