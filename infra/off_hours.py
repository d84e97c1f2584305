"""Fewer nodes and instances outside working hours, and as many as before in the morning."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, plain_json
from infra.nodes import Scaling

RETRY_SECONDS = 3600
"""How long the scheduler tries again. Its default is a day, in which an evening's call could still
arrive the next morning (EventBridge Scheduler API, RetryPolicy)."""


@dataclass(frozen=True, kw_only=True)
class ScalableTarget:
    """What Application Auto Scaling scales in SageMaker, and its bounds by day."""

    resource_id: pulumi.Input[str]
    scalable_dimension: str
    min_capacity: int
    max_capacity: int

    @property
    def night(self) -> tuple[int, int]:
        """At most one, and none only where there may be none by day: what wakes it is there."""
        return min(self.min_capacity, 1), 1

    @property
    def sleeps(self) -> bool:
        """Its night differs from its day."""
        return self.night != (self.min_capacity, self.max_capacity)


@dataclass(frozen=True, kw_only=True)
class OffHoursArgs(ComponentArgs):
    """When nobody works, and what then shrinks."""

    begin: str
    end: str
    """Both as `cron(0 19 ? * MON-FRI *)`."""

    timezone: str
    """IANA name, such as `Europe/Berlin`; follows daylight saving time."""

    node_groups: Mapping[str, Scaling] = field(default_factory=dict)
    """Managed node groups of the environment's cluster, by purpose: by night as many nodes as
    `min_size`, by day `desired_size`. Default: none."""

    scalable_targets: Mapping[str, ScalableTarget] = field(default_factory=dict)
    """By a name of our own; one that is as small by day is left out. Default: none."""

    role: Role | None = None
    """Trusts EventBridge Scheduler; it may resize these node groups. Needed with `node_groups`."""

    def __post_init__(self) -> None:
        if self.node_groups and self.role is None:
            raise ValueError("role must be given with node_groups, got none")


class OffHours(Component):
    """Two schedules for every node group, two scheduled actions for every scalable target.

    Only numbers change and nothing is deleted. The nodes of a group that shrinks drain first; what
    runs on them is interrupted, so keep work that may not be in Karpenter's pools, which are not
    touched: they are as large as their pods need. An endpoint without autoscaling keeps its
    instances.

    An `up` at night leaves it as it is: of a node group only the desired size moves, which the
    program ignores, and a scalable target's bounds are compared with the state, not with AWS. One
    that changes a group's or a target's own bounds, or a target's tags, restores the day's until
    the next evening. A refresh at night shows the night's bounds of scalable targets as drift.
    """

    def __init__(
        self, name: str, args: OffHoursArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        if args.role is not None and args.node_groups:
            self._node_groups(args.node_groups, args.role)
        for key, target in args.scalable_targets.items():
            if target.sleeps:
                self._scalable_target(key, target)
        self.seal()

    def _node_groups(self, groups: Mapping[str, Scaling], role: Role) -> None:
        cluster = self.names.of("cluster")
        arns = [
            self.names.arn("eks", f"nodegroup/{cluster}/{self.names.of(group)}/*")
            for group in groups
        ]
        resize = {"Action": ["eks:UpdateNodegroupConfig"], "Resource": arns}
        allowed = self.grant(role, "resize", [resize])
        for group, scaling in groups.items():
            sizes = (("begin", scaling.min_size), ("end", scaling.desired_size))
            for moment, desired_size in sizes:
                self._resize(group, moment, desired_size, role, allowed)

    def _resize(
        self, group: str, moment: str, desired_size: int, role: Role, allowed: pulumi.Resource
    ) -> None:
        args, name = self._args, f"{self.component_name}-{group}-{moment}"
        request = {
            "ClusterName": self.names.of("cluster"),
            "NodegroupName": self.names.of(group),
            "ScalingConfig": {"DesiredSize": desired_size},
        }
        aws.scheduler.Schedule(
            name,
            name=self.names.of(name),
            description=f"Nodes of {self.names.of(group)}: {desired_size}",
            schedule_expression=args.begin if moment == "begin" else args.end,
            schedule_expression_timezone=args.timezone,
            flexible_time_window={"mode": "OFF"},
            target={
                # a universal target (EventBridge Scheduler user guide)
                "arn": self.names.universal_target("eks:updateNodegroupConfig"),
                "role_arn": role.arn,
                "input": plain_json(request),
                "retry_policy": {"maximum_event_age_in_seconds": RETRY_SECONDS},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )

    def _scalable_target(self, key: str, target: ScalableTarget) -> None:
        day = (target.min_capacity, target.max_capacity)
        before: list[pulumi.Resource] = []
        for moment, (least, most) in (("begin", target.night), ("end", day)):
            name = f"{self.component_name}-{key}-{moment}"
            action = aws.appautoscaling.ScheduledAction(
                name,
                name=self.names.of(name),
                service_namespace="sagemaker",
                scalable_dimension=target.scalable_dimension,
                resource_id=target.resource_id,
                schedule=self._args.begin if moment == "begin" else self._args.end,
                timezone=self._args.timezone,
                scalable_target_action={"min_capacity": least, "max_capacity": most},
                # one after the other: AWS refuses concurrent updates of one target
                opts=pulumi.ResourceOptions(parent=self, depends_on=before),
            )
            before = [action]
