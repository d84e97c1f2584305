"""Costs of an environment that are unlike those before."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs


@dataclass(frozen=True, kw_only=True)
class AnomaliesArgs(ComponentArgs):
    """What is told, and to whom."""

    alerts_topic_arn: pulumi.Input[str]
    """Its policy must let Cost Anomaly Detection publish."""

    monitor_arn: str | None = None
    """A monitor of all services that the account has already: it has room for one. Default: one is
    made."""

    threshold_usd: int = 100
    """Impact from which an unusual cost is told at once. Default: 100 dollars."""


class Anomalies(Component):
    """Cost Anomaly Detection over the services of the account, told to the environment's topic.

    Monitors by tag, by cost category and by account can only be made in the account that pays (AWS
    Cost Management user guide, getting started with AWS Cost Anomaly Detection).
    """

    def __init__(
        self, name: str, args: AnomaliesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        aws.costexplorer.AnomalySubscription(
            f"{name}-subscription",
            name=self.names.of("anomalies"),
            frequency="IMMEDIATE",  # the only one that reaches a topic
            monitor_arn_lists=[args.monitor_arn or self._monitor()],
            subscribers=[{"type": "SNS", "address": args.alerts_topic_arn}],
            threshold_expression={
                "dimension": {
                    "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                    "match_options": ["GREATER_THAN_OR_EQUAL"],
                    "values": [str(args.threshold_usd)],
                }
            },
            tags=self.tags("anomalies"),
            opts=self.child,
        )
        self.seal()

    def _monitor(self) -> pulumi.Output[str]:
        monitor = aws.costexplorer.AnomalyMonitor(
            f"{self.component_name}-monitor",
            name=self.names.of("anomalies"),
            monitor_type="DIMENSIONAL",
            monitor_dimension="SERVICE",
            tags=self.tags("anomalies"),
            opts=self.child,
        )
        return monitor.arn
