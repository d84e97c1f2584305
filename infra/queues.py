"""Who gets the GPUs: priority classes, and Kueue with a queue per team in one cohort.

Kubernetes' own scheduler decides by the priority classes; Kueue holds back whole jobs that have no
quota, so that half of a distributed job never waits on GPUs for the other half.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE, POOL_LABEL, TEAM_LABEL

KUEUE_API = "kueue.x-k8s.io/v1beta2"
KUEUE_CHART = "oci://registry.k8s.io/kueue/charts/kueue"
KUEUE_NAMESPACE = "kueue-system"

COHORT = "gpus"
"""All queues lend to each other."""

GUARANTEED_STEP = 1000
"""Value of a guaranteed priority class per point of its priority."""

UNCOUNTED = ("cpu", "ephemeral-storage", "hugepages-", "memory", "vpc.amazonaws.com/")
"""Resources that Kueue leaves to the namespaces' quotas: it queues for GPUs alone."""

FRAMEWORKS = (
    "batch/job",
    "deployment",
    "jobset.x-k8s.io/jobset",
    "pod",
    "ray.io/raycluster",
    "ray.io/rayjob",
    "statefulset",
    "trainer.kubeflow.org/trainjob",
)
"""What waits in a queue; kinds that the cluster does not have are skipped (Kueue, Installation)."""


def borrowed(priority_class: str) -> str:
    """The class of pods beyond the team's share: any guaranteed pod takes their place."""
    return f"{priority_class}-borrowed"


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many GPUs of one pool a team has."""

    nominal: int
    """GPUs that it gets back whenever it asks."""

    borrowing: int = 0
    """Further GPUs that it may use while others leave them idle. Default: none."""


@dataclass(frozen=True, kw_only=True)
class QueuesArgs(ComponentArgs):
    """Priorities of the work, and the shares of the teams."""

    priorities: Mapping[str, int]
    """Priority class -> how important it is, 1 to 999."""

    shares: Mapping[str, Mapping[str, Share]]
    """Team -> pool -> share."""

    kueue_version: str | None
    """Version of Kueue's chart; without one there are only the priority classes."""

    kueue_replicas: int = 2
    """Controllers; one leads. Default: 2, since its webhooks must answer for jobs to start."""

    system_node_labels: Mapping[str, str]
    """Nodes that the controllers run on: not those that Karpenter or a GPU quota takes away."""


class Queues(Component):
    """Priority classes in two tiers and, with Kueue, a ClusterQueue per team.

    Every borrowed class is below every guaranteed one, so the scheduler takes borrowed GPUs first,
    whoever asks; among guaranteed ones the more important work goes first.
    """

    def __init__(
        self, name: str, args: QueuesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        for priority_class, priority in args.priorities.items():
            self._priority_classes(priority_class, priority)
        if args.kueue_version is not None:
            release = self._kueue(args, args.kueue_version)
            self._queues(args, pulumi.ResourceOptions(parent=self, depends_on=[release]))
        self.seal()

    def _priority_classes(self, priority_class: str, priority: int) -> None:
        kubernetes.scheduling.v1.PriorityClass(
            f"{self.component_name}-{priority_class}",
            metadata={"name": priority_class},
            value=priority * GUARANTEED_STEP,
            description=f"GPUs of the team's own share, importance {priority}",
            opts=self.child,
        )
        kubernetes.scheduling.v1.PriorityClass(
            f"{self.component_name}-{borrowed(priority_class)}",
            metadata={"name": borrowed(priority_class)},
            value=priority,
            # what is borrowed is idle: a borrower takes nothing from another borrower
            preemption_policy="Never",
            description="GPUs that others leave idle; they take them back at any time",
            opts=self.child,
        )

    def _kueue(self, args: QueuesArgs, version: str) -> kubernetes.helm.v3.Release:
        return kubernetes.helm.v3.Release(
            f"{self.component_name}-kueue",
            name="kueue",
            chart=KUEUE_CHART,
            version=version,
            namespace=KUEUE_NAMESPACE,
            create_namespace=True,
            atomic=True,
            values={
                "controllerManager": {
                    "replicas": args.kueue_replicas,
                    "nodeSelector": dict(args.system_node_labels),
                    "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
                    "manager": {"priorityClassName": "system-cluster-critical"},
                },
                "managerConfig": {
                    "controllerManagerConfigYaml": json.dumps(manager_config(), sort_keys=True)
                },
            },
            opts=self.child,
        )

    def _queues(self, args: QueuesArgs, opts: pulumi.ResourceOptions) -> None:
        for pool in sorted({pool for shares in args.shares.values() for pool in shares}):
            kubernetes.apiextensions.CustomResource(
                f"{self.component_name}-flavor-{pool}",
                api_version=KUEUE_API,
                kind="ResourceFlavor",
                metadata={"name": pool},
                spec={
                    "nodeLabels": {POOL_LABEL: pool},
                    "tolerations": [
                        {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
                    ],
                },
                opts=opts,
            )
        for team, shares in args.shares.items():
            kubernetes.apiextensions.CustomResource(
                f"{self.component_name}-queue-{team}",
                api_version=KUEUE_API,
                kind="ClusterQueue",
                metadata={"name": team, "labels": {TEAM_LABEL: team}},
                spec=cluster_queue(team, shares),
                opts=opts,
            )


def manager_config() -> dict[str, Any]:
    """Configuration of Kueue's controller; its webhooks see the namespaces of teams alone.

    A webhook that fails closed on kube-system would keep the network from coming back after an
    outage (Kueue, Configuration v1beta2).
    """
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443", "enableClusterQueueResources": True},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "manageJobsWithoutQueueName": True,
        "managedJobsNamespaceSelector": {
            "matchExpressions": [{"key": TEAM_LABEL, "operator": "Exists"}]
        },
        "resources": {"excludeResourcePrefixes": list(UNCOUNTED)},
        # a job whose pods do not all start gives its GPUs back; new nodes take minutes
        "waitForPodsReady": {"timeout": "15m", "blockAdmission": False},
        "integrations": {"frameworks": list(FRAMEWORKS)},
    }


def cluster_queue(team: str, shares: Mapping[str, Share]) -> dict[str, Any]:
    """What a team's queue may use of each pool, and what it may take from whom."""
    return {
        "cohortName": COHORT,
        "namespaceSelector": {"matchLabels": {TEAM_LABEL: team}},
        "preemption": {
            "reclaimWithinCohort": "LowerPriority",
            "withinClusterQueue": "LowerPriority",
        },
        "resourceGroups": [
            {
                "coveredResources": [GPU_RESOURCE],
                "flavors": [
                    {
                        "name": pool,
                        "resources": [
                            {
                                "name": GPU_RESOURCE,
                                "nominalQuota": share.nominal,
                                "borrowingLimit": share.borrowing,
                            }
                        ],
                    }
                    for pool, share in shares.items()
                ],
            }
        ],
    }
