"""Costs of an environment that are unlike those before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs


@dataclass(frozen=True, kw_only=True)
class AnomaliesArgs(ComponentArgs):
    """What is told, and to whom."""

    alerts_topic_arn: pulumi.Input[str]
    """Its policy must let Cost Anomaly Detection publish."""

    threshold_usd: int = 100
    """Impact from which an unusual cost is told at once. Default: 100 dollars."""


class Anomalies(Component):
    """Cost Anomaly Detection over everything that carries the environment's tag."""

    def __init__(
        self, name: str, args: AnomaliesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        monitor = aws.costexplorer.AnomalyMonitor(
            f"{name}-monitor",
            name=self.names.of("anomalies"),
            monitor_type="CUSTOM",
            monitor_specification=json.dumps(_tagged(self.names.env), sort_keys=True),
            tags=self.tags("anomalies"),
            opts=self.child,
        )
        aws.costexplorer.AnomalySubscription(
            f"{name}-subscription",
            name=self.names.of("anomalies"),
            frequency="IMMEDIATE",  # the only one that reaches a topic
            monitor_arn_lists=[monitor.arn],
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


def _tagged(env: str) -> Mapping[str, object]:
    """Cost Explorer's expression of everything that an environment is tagged as."""
    return {"Tags": {"Key": "environment", "MatchOptions": ["EQUALS"], "Values": [env]}}
