"""The end of a Capacity Block: somebody is told, and its nodes drain before EC2 takes them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, plain_json

WARNING = "Capacity Block Reservation Expiration Warning"
"""What EC2 says 40 minutes before the end (EC2 user guide, monitor Capacity Blocks)."""


@dataclass(frozen=True, kw_only=True)
class CapacityBlockArgs(ComponentArgs):
    """One block and the managed node group that runs in it."""

    reservation_id: str
    ends_at: str
    """UTC, `2026-12-01T11:30:00Z`."""

    pool: str
    """Name of the pool whose node group runs in the block."""

    topic_arn: pulumi.Input[str]
    """Who is told; EventBridge may publish to it."""

    role: Role
    """Trusts EventBridge Scheduler; acts when a schedule is due."""

    notice_hours: int = 24
    """Hours before the end at which somebody is told, so that the block can be extended. Default:
    24."""

    drain_minutes: int = 75
    """Minutes before the end at which the node group shrinks to nothing; EC2 ends the instances 30
    minutes before. Default: 75, so that pods have 45 minutes for a last checkpoint."""


class CapacityBlock(Component):
    """A notice, EC2's own warning, and a drain that leaves pods time to save their work.

    An update after the end would ask EC2 for capacity that is gone: take the pool out of the
    settings, or name the next block, before it.
    """

    def __init__(
        self, name: str, args: CapacityBlockArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        self._warning()
        cluster, group = self.names.of("cluster"), self.names.of(args.pool)
        groups = self.names.arn("eks", f"nodegroup/{cluster}/{group}/*")
        may = self.grant(
            args.role,
            "act",
            [
                {"Action": ["sns:Publish"], "Resource": [args.topic_arn]},
                {"Action": ["eks:UpdateNodegroupConfig"], "Resource": [groups]},
            ],
        )
        notice = {"Subject": f"{group} ends soon", "Message": f"{group} ends at {args.ends_at}"}
        drain = {
            "ClusterName": cluster,
            "NodegroupName": group,
            "ScalingConfig": {"MinSize": 0, "DesiredSize": 0},
        }
        self._once(
            "notice",
            timedelta(hours=args.notice_hours),
            self.names.universal_target("sns:publish"),
            pulumi.Output.json_dumps({"TopicArn": args.topic_arn, **notice}, sort_keys=True),
            may,
        )
        self._once(
            "drain",
            timedelta(minutes=args.drain_minutes),
            self.names.universal_target("eks:updateNodegroupConfig"),
            plain_json(drain),
            may,
        )
        self.seal()

    def _warning(self) -> None:
        pattern = {
            "source": ["aws.ec2"],
            "detail-type": [WARNING],
            "detail": {"capacity-reservation-id": [self._args.reservation_id]},
        }
        rule = aws.cloudwatch.EventRule(
            f"{self.component_name}-warning",
            name=self.names.of(f"{self.component_name}-warning"),
            description=WARNING,
            event_pattern=plain_json(pattern),
            tags=self.tags(f"{self.component_name}-warning"),
            opts=self.child,
        )
        aws.cloudwatch.EventTarget(
            f"{self.component_name}-warning",
            rule=rule.name,
            target_id="alerts",
            arn=self._args.topic_arn,
            opts=self.child,
        )

    def _once(
        self,
        what: str,
        before: timedelta,
        target: str,
        text: pulumi.Input[str],
        may: pulumi.Resource,
    ) -> None:
        """Call an AWS API once, so long before the end."""
        due = datetime.fromisoformat(self._args.ends_at) - before
        aws.scheduler.Schedule(
            f"{self.component_name}-{what}",
            name=self.names.of(f"{self.component_name}-{what}"),
            schedule_expression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "OFF"},
            target={"arn": target, "role_arn": self._args.role.arn, "input": text},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may]),
        )
