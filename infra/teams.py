"""A team's place in the cluster: namespace, quotas, limits, rights, network and queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.component import Component, ComponentArgs
from infra.naming import GPU_RESOURCE, TEAM_LABEL

PRIORITIES_ANNOTATION = "plinth.dev/priority-classes"
"""The priority classes that a namespace's GPU pods may have; the guardrails read it."""

SERVICE_ACCOUNT = "workload"
"""What a team's pods run as; Pod Identity gives it AWS permissions."""

LOCAL_QUEUE = "default"
"""Kueue puts jobs that name no queue into the LocalQueue of this name (Kueue, LocalQueue)."""

POD_IDENTITY_AGENT = "169.254.170.23/32"
"""Where the EKS Pod Identity Agent answers (EKS user guide, EKS Pod Identity Agent)."""

MEMBER = "plinth-team-member"
WRITE = ("create", "delete", "get", "list", "patch", "update", "watch")
READ = ("get", "list", "watch")
MEMBER_RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("", ("configmaps", "persistentvolumeclaims", "pods", "services"), WRITE),
    ("", ("pods/exec", "pods/portforward"), ("create",)),
    ("", ("events", "limitranges", "pods/log", "resourcequotas", "serviceaccounts"), READ),
    ("apps", ("deployments", "statefulsets"), WRITE),
    ("batch", ("cronjobs", "jobs"), WRITE),
    ("kueue.x-k8s.io", ("localqueues", "workloads"), READ),
    ("ray.io", ("rayclusters", "rayjobs"), WRITE),
)
"""API group, resources, verbs of members in their own namespace. No secrets: Pod Identity needs
none, and what reads secrets reads those of every service account."""


@dataclass(frozen=True, kw_only=True)
class TeamSpec:
    """A team and what it may use."""

    group: str
    """Kubernetes group of its members: that of their EKS access entry."""

    cost_centre: str

    guaranteed_classes: Sequence[str]
    """Priority classes that count against the team's own share."""

    borrowed_classes: Sequence[str]
    """Priority classes that count against what it may borrow."""

    guaranteed_gpus: int
    """GPUs of its own share, in all pools together."""

    borrowed_gpus: int
    """GPUs that it may use beyond its share, in all pools together."""

    cpu: int
    """vCPUs that its pods may ask for."""

    memory_gib: int
    storage_gib: int
    """Persistent volumes together."""

    max_pods: int

    pod_security: str = "restricted"
    """Pod Security Standard that is enforced. Default: restricted."""


@dataclass(frozen=True, kw_only=True)
class TeamsArgs(ComponentArgs):
    """The teams by name: that of their namespace."""

    teams: Mapping[str, TeamSpec]

    queued: bool
    """Whether Kueue is there: then every namespace has a LocalQueue of its team's ClusterQueue."""


class Teams(Component):
    """A namespace per team whose pods are counted twice: what is the team's, and what it borrows.

    The shares together are never more than there is, and what is borrowed has a priority below all
    that is guaranteed: so the scheduler alone gives each team its share back, by preemption. A pod
    that wants more GPUs than any one node has left may preempt less important guaranteed ones.
    """

    def __init__(
        self, name: str, args: TeamsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        member = kubernetes.rbac.v1.ClusterRole(
            f"{name}-member",
            metadata={"name": MEMBER},
            rules=[
                {"api_groups": [group], "resources": list(resources), "verbs": list(verbs)}
                for group, resources, verbs in MEMBER_RULES
            ],
            opts=self.child,
        )
        for team, spec in args.teams.items():
            namespace = self._namespace(team, spec)
            inside = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
            self._quotas(team, spec, inside)
            self._network(team, inside)
            self._rights(team, spec, pulumi.ResourceOptions.merge(inside, _after(member)))
            if args.queued:
                kubernetes.apiextensions.CustomResource(
                    f"{name}-{team}-queue",
                    api_version="kueue.x-k8s.io/v1beta2",
                    kind="LocalQueue",
                    metadata=_metadata(team, LOCAL_QUEUE),
                    spec={"clusterQueue": team},
                    opts=inside,
                )
        self.seal()

    def _namespace(self, team: str, spec: TeamSpec) -> kubernetes.core.v1.Namespace:
        return kubernetes.core.v1.Namespace(
            f"{self.component_name}-{team}",
            metadata={
                "name": team,
                "labels": {
                    TEAM_LABEL: team,
                    "plinth.dev/cost-centre": spec.cost_centre,
                    "plinth.dev/environment": self.names.env,
                    "pod-security.kubernetes.io/enforce": spec.pod_security,
                    "pod-security.kubernetes.io/warn": "restricted",
                },
                "annotations": {
                    PRIORITIES_ANNOTATION: ",".join(
                        (*spec.guaranteed_classes, *spec.borrowed_classes)
                    )
                },
            },
            opts=self.child,
        )

    def _quotas(self, team: str, spec: TeamSpec, opts: pulumi.ResourceOptions) -> None:
        for tier, quota in gpu_quotas(spec).items():
            kubernetes.core.v1.ResourceQuota(
                f"{self.component_name}-{team}-{tier}",
                metadata=_metadata(team, tier),
                spec=quota,
                opts=opts,
            )
        kubernetes.core.v1.ResourceQuota(
            f"{self.component_name}-{team}-total",
            metadata=_metadata(team, "total"),
            spec={"hard": total_quota(spec)},
            opts=opts,
        )
        kubernetes.core.v1.LimitRange(
            f"{self.component_name}-{team}-limits",
            metadata=_metadata(team, "limits"),
            spec={
                "limits": [
                    {
                        # a quota on cpu refuses pods that do not say what they ask for
                        "type": "Container",
                        "default_request": {"cpu": "250m", "memory": "512Mi"},
                        "default": {"memory": "2Gi"},
                    }
                ]
            },
            opts=opts,
        )

    def _rights(self, team: str, spec: TeamSpec, opts: pulumi.ResourceOptions) -> None:
        kubernetes.rbac.v1.RoleBinding(
            f"{self.component_name}-{team}-members",
            metadata=_metadata(team, "members"),
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": MEMBER,
            },
            subjects=[
                {"api_group": "rbac.authorization.k8s.io", "kind": "Group", "name": spec.group}
            ],
            opts=opts,
        )
        kubernetes.core.v1.ServiceAccount(
            f"{self.component_name}-{team}-workload",
            metadata=_metadata(team, SERVICE_ACCOUNT),
            automount_service_account_token=False,
            opts=opts,
        )

    def _network(self, team: str, opts: pulumi.ResourceOptions) -> None:
        kubernetes.networking.v1.NetworkPolicy(
            f"{self.component_name}-{team}-deny",
            metadata=_metadata(team, "default-deny"),
            spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts=opts,
        )
        kubernetes.networking.v1.NetworkPolicy(
            f"{self.component_name}-{team}-allow",
            metadata=_metadata(team, "allow-own"),
            spec=allow_own(),
            opts=opts,
        )


def allow_own() -> Any:
    """The spec of a NetworkPolicy: the team's own pods, names, credentials and HTTPS."""
    own: dict[str, Any] = {"podSelector": {}}
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    # gateway endpoints of S3 and DynamoDB keep the public addresses of these services
    anywhere = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}
    return {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [own]}],
        "egress": [
            {"to": [own]},
            {
                "to": [system],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            },
            {
                "to": [{"ipBlock": {"cidr": POD_IDENTITY_AGENT}}],
                "ports": [{"port": 80, "protocol": "TCP"}],
            },
            {"to": [anywhere], "ports": [{"port": 443, "protocol": "TCP"}]},
        ],
    }


def _metadata(team: str, name: str) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name, namespace=team, labels={TEAM_LABEL: team})


def gpu_quotas(spec: TeamSpec) -> dict[str, Any]:
    """Specs of ResourceQuotas that count every pod with GPUs once, by its priority class."""
    guaranteed, borrowed = list(spec.guaranteed_classes), list(spec.borrowed_classes)
    tiers = {
        "guaranteed": ("In", guaranteed, spec.guaranteed_gpus),
        "borrowed": ("In", borrowed, spec.borrowed_gpus),
        "other": ("NotIn", [*guaranteed, *borrowed], 0),  # also pods without a class
    }
    return {
        tier: {
            "hard": {f"requests.{GPU_RESOURCE}": str(gpus)},
            "scopeSelector": {
                "matchExpressions": [
                    {"scopeName": "PriorityClass", "operator": operator, "values": classes}
                ]
            },
        }
        for tier, (operator, classes, gpus) in tiers.items()
    }


def total_quota(spec: TeamSpec) -> dict[str, str]:
    """What a team may ask for beside GPUs; ways around the counting of GPUs are closed."""
    return {
        "requests.cpu": str(spec.cpu),
        "requests.memory": f"{spec.memory_gib}Gi",
        "requests.storage": f"{spec.storage_gib}Gi",
        "pods": str(spec.max_pods),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        # a claim is another way to a device, which no quota on GPUs counts (Kubernetes, DRA)
        "count/resourceclaims.resource.k8s.io": "0",
        "count/resourceclaimtemplates.resource.k8s.io": "0",
    }


def _after(resource: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(depends_on=[resource])
