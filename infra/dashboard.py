"""What a person sees of the platform, and what calls one: a dashboard, failures as messages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs

COLUMNS, WIDTH, HEIGHT = 3, 8, 6  # CloudWatch's grid is 24 wide

PIPELINES = "AWS/Sagemaker/ModelBuildingPipeline"
"""CloudWatch's own spelling (developer guide, "SageMaker Pipelines metrics")."""


@dataclass(frozen=True)
class Graph:
    """A widget: metrics of one namespace that are looked at together."""

    namespace: str
    metrics: Sequence[str]
    dimensions: Mapping[str, str] = field(default_factory=dict)
    statistic: str = "Sum"


@dataclass(frozen=True, kw_only=True)
class DashboardArgs(ComponentArgs):
    """What is looked at, and who hears of failures."""

    graphs: Mapping[str, Graph]
    """Widgets by title, in their order on the dashboard."""

    pipeline_arns: Sequence[pulumi.Input[str]]
    job_name_prefixes: Sequence[str]
    """Of the jobs outside pipelines."""

    alerts_topic_arn: pulumi.Input[str]
    """Its policy must let EventBridge publish."""


class Dashboard(Component):
    """A CloudWatch dashboard, and a message for every run and job that failed."""

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=self.names.of("dashboard"),
            dashboard_body=dashboard_body(args.graphs, self.names.region),
            opts=self.child,
        )
        self._tell(
            "failed-runs",
            "A run of a pipeline failed",
            "SageMaker Model Building Pipeline Execution Status Change",
            pulumi.Output.from_input(
                {
                    "currentPipelineExecutionStatus": ["Failed"],
                    "pipelineArn": list(args.pipeline_arns),
                }
            ),
            {"what": "$.detail.pipelineExecutionArn"},
        )
        for kind in ("Processing", "Training"):
            self._tell(
                f"failed-{kind.lower()}-jobs",
                f"A {kind.lower()} job failed",
                f"SageMaker {kind} Job State Change",
                pulumi.Output.from_input(
                    {
                        f"{kind}JobStatus": ["Failed"],
                        f"{kind}JobName": [{"prefix": one} for one in args.job_name_prefixes],
                    }
                ),
                {"what": f"$.detail.{kind}JobArn", "why": "$.detail.FailureReason"},
            )
        self.seal()

    def _tell(
        self,
        role: str,
        description: str,
        detail_type: str,
        detail: pulumi.Output[Any],
        paths: Mapping[str, str],
    ) -> None:
        """Patterns: developer guide, "Events that SageMaker AI sends to Amazon EventBridge"."""
        pattern = {"source": ["aws.sagemaker"], "detail-type": [detail_type], "detail": detail}
        rule = aws.cloudwatch.EventRule(
            f"{self.component_name}-{role}",
            name=self.names.of(role),
            description=description,
            event_pattern=pulumi.Output.json_dumps(pattern, sort_keys=True),
            tags=self.tags(role),
            opts=self.child,
        )
        shown = " ".join(f"{name}: <{name}>" for name in paths)
        aws.cloudwatch.EventTarget(
            f"{self.component_name}-{role}",
            rule=rule.name,
            target_id="alerts",
            arn=self._args.alerts_topic_arn,
            input_transformer={
                "input_paths": dict(paths),
                "input_template": json.dumps(f"{description}. {shown}"),
            },
            opts=self.child,
        )
        self._undelivered(role, rule)

    def _undelivered(self, role: str, rule: aws.cloudwatch.EventRule) -> None:
        """EventBridge tells nobody but this metric of what does not arrive (EventBridge user guide,
        monitoring): a topic whose key it may not use would stay silent for ever."""
        aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-{role}-undelivered",
            name=self.names.of(f"{role}-undelivered"),
            alarm_description="EventBridge could not deliver what a rule is to tell",
            namespace="AWS/Events",
            metric_name="FailedInvocations",
            dimensions={"RuleName": rule.name},
            statistic="Sum",
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=300,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
            alarm_actions=[self._args.alerts_topic_arn],
            tags=self.tags(f"{role}-undelivered"),
            opts=self.child,
        )


def dashboard_body(graphs: Mapping[str, Graph], region: str) -> str:
    """The widgets in rows (Amazon CloudWatch, dashboard body structure and syntax)."""
    widgets = [
        {
            "type": "metric",
            "x": index % COLUMNS * WIDTH,
            "y": index // COLUMNS * HEIGHT,
            "width": WIDTH,
            "height": HEIGHT,
            "properties": {
                "title": title,
                "region": region,
                "stat": graph.statistic,
                "period": 300,
                "view": "timeSeries",
                "metrics": [
                    [
                        graph.namespace,
                        metric,
                        *(part for pair in graph.dimensions.items() for part in pair),
                    ]
                    for metric in graph.metrics
                ],
            },
        }
        for index, (title, graph) in enumerate(graphs.items())
    ]
    return json.dumps({"widgets": widgets}, sort_keys=True)
