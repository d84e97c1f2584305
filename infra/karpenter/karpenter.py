"""Karpenter: nodes for pods that wait, from pools with a limit on their GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from infra.component import Component, ComponentArgs, Role, policy_json
from infra.karpenter.permissions import launch_statements, look_statements, queue_policy
from infra.karpenter.pools import KarpenterPool, node_class, node_pool
from infra.naming import POOL_LABEL
from infra.nodes import placement_group

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "karpenter"

INTERRUPTIONS = {
    "capacity-reservation": (
        "aws.ec2",
        "EC2 Capacity Reservation Instance Interruption Warning",
    ),
    "health": ("aws.health", "AWS Health Event"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "state-change": ("aws.ec2", "EC2 Instance State-change Notification"),
}
"""Events that Karpenter drains nodes for: source and detail type (Karpenter, CloudFormation)."""


@dataclass(frozen=True, kw_only=True)
class KarpenterArgs(ComponentArgs):
    """The controller and its pools. The component's provider for Kubernetes is the cluster's."""

    cluster_name: pulumi.Input[str]
    role: Role
    """Trusts Pod Identity; the controller acts as it."""

    node_role: Role
    security_group_ids: Sequence[pulumi.Input[str]]
    efa_security_group_id: pulumi.Input[str]
    pools: Mapping[str, KarpenterPool]

    version: str
    """Of both charts."""

    repository: str
    """Where the charts are, `oci://...`."""

    image_repository: str | None = None
    """Where the controller's image is. Default: as the chart says."""

    isolated_vpc: bool = False
    """Prices and IAM are out of reach. Default: they are not."""

    reserved_enis: int = 0
    """Interfaces that carry no pods: 1 with custom networking. Default: none."""

    node_repair: bool = True
    """Replace nodes that the monitoring agent finds broken. Default: on."""

    kms_key_arn: pulumi.Input[str] | None = None
    """Key of the volumes. Default: the account's key for EBS."""


class Karpenter(Component):
    """The controller with its permissions and its queue of interruptions, and the pools.

    On the way down a NodePool goes first, and its EC2NodeClass only when the last node is gone;
    then the controller, then what it needed.
    """

    def __init__(
        self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        queue, rules = self._interruptions()
        profile = aws.iam.InstanceProfile(
            f"{name}-nodes",
            name=self.names.of("karpenter-nodes"),
            role=args.node_role.name,
            tags=self.tags("karpenter-nodes"),
            opts=self.child,
        )
        grants = self._grants(queue)
        definitions = self._release("karpenter-crd", {}, [])
        controller = self._release(
            "karpenter", self._values(queue), [definitions, *grants, *rules, profile]
        )
        for pool, settings in args.pools.items():
            self._pool(pool, settings, profile, controller)
        self.queue_url = queue.url
        self.seal()

    def _interruptions(self) -> tuple[aws.sqs.Queue, list[pulumi.Resource]]:
        """Warnings of EC2 and AWS Health in a queue that only EventBridge fills."""
        name, queue_name = self.component_name, self.names.of("karpenter")
        queue = aws.sqs.Queue(
            f"{name}-interruptions",
            name=queue_name,
            message_retention_seconds=300,  # what was not read in time has happened already
            sqs_managed_sse_enabled=True,
            tags=self.tags("interruptions"),
            opts=self.child,
        )
        rules: list[pulumi.Resource] = []
        for kind, (source, detail_type) in INTERRUPTIONS.items():
            rule = aws.cloudwatch.EventRule(
                f"{name}-{kind}",
                name=self.names.of(f"karpenter-{kind}"),
                description=detail_type,
                event_pattern=pulumi.Output.json_dumps(
                    {"source": [source], "detail-type": [detail_type]}
                ),
                tags=self.tags(f"karpenter-{kind}"),
                opts=self.child,
            )
            target = aws.cloudwatch.EventTarget(
                f"{name}-{kind}",
                rule=rule.name,
                target_id="interruptions",
                arn=queue.arn,
                opts=self.child,
            )
            rules.append(target)
        policy = aws.sqs.QueuePolicy(
            f"{name}-interruptions",
            queue_url=queue.url,
            policy=policy_json(queue_policy(self.names, queue.arn)),
            opts=self.child,
        )
        return queue, [*rules, policy]

    def _grants(self, queue: aws.sqs.Queue) -> list[pulumi.Resource]:
        role = self._args.role
        return [
            self.grant(role, "launch", launch_statements(self.names, self._args.node_role)),
            self.grant(role, "look", look_statements(self.names, queue.arn)),
        ]

    def _values(self, queue: aws.sqs.Queue) -> dict[str, Any]:
        """Of the chart: two controllers on the system nodes, never on nodes of their own."""
        args = self._args
        image = {"repository": args.image_repository} if args.image_repository else {}
        return {
            "replicas": 2,
            "serviceAccount": {"name": SERVICE_ACCOUNT},
            "nodeSelector": {POOL_LABEL: "system"},
            "controller": {
                "image": image,
                "resources": {
                    "requests": {"cpu": "500m", "memory": "1Gi"},
                    "limits": {"memory": "1Gi"},
                },
            },
            "settings": {
                "clusterName": args.cluster_name,
                "interruptionQueue": queue.name,
                "isolatedVPC": args.isolated_vpc,
                "reservedENIs": str(args.reserved_enis),
                "featureGates": {"nodeRepair": args.node_repair, "reservedCapacity": True},
            },
        }

    def _release(
        self, chart: str, values: Mapping[str, Any], depends_on: Sequence[pulumi.Resource]
    ) -> kubernetes.helm.v3.Release:
        return kubernetes.helm.v3.Release(
            f"{self.component_name}-{chart}",
            name=chart,
            namespace=NAMESPACE,
            chart=f"{self._args.repository}/{chart}",
            version=self._args.version,
            values=dict(values),
            skip_crds=True,  # the definitions are a chart of their own, so that they are upgraded
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )

    def _pool(
        self,
        name: str,
        settings: KarpenterPool,
        profile: aws.iam.InstanceProfile,
        controller: pulumi.Resource,
    ) -> None:
        args, efa = self._args, settings.pool.efa
        group = placement_group(self, name).name if settings.pool.placement_group else None
        made = kubernetes.apiextensions.CustomResource(
            f"{self.component_name}-{name}-class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata={"name": name},
            spec=node_class(
                settings,
                tags=self.tags(name),
                instance_profile=profile.name,
                security_group_ids=[
                    *args.security_group_ids,
                    *([args.efa_security_group_id] if efa else []),
                ],
                kms_key_arn=args.kms_key_arn,
                placement_group=group,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[controller],
                # its finalizer holds it until the last node is gone
                custom_timeouts=pulumi.CustomTimeouts(delete="60m"),
            ),
        )
        kubernetes.apiextensions.CustomResource(
            f"{self.component_name}-{name}",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata={"name": name},
            spec=node_pool(name, settings),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[made],
                custom_timeouts=pulumi.CustomTimeouts(delete="60m"),
            ),
        )
