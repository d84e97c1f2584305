"""What starts a training pipeline by itself: alarms and schedules, held back by one function."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, tls_only

RUNTIME = "python3.13"
"""Pinned: Lambda's end of support is announced years ahead (Lambda runtimes)."""

HOUR_SECONDS = 3600
TIMEOUT_SECONDS = 30
EVENT_AGE_SECONDS = 6 * HOUR_SECONDS
"""A trigger that could not be handled for so long is kept for a person instead."""

DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * HOUR_SECONDS
"""The longest that SQS keeps a message."""

EVENTS = "events.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class RetrainingArgs(ComponentArgs):
    """Which pipeline is started, by what, and how often at most."""

    pipeline_name: pulumi.Input[str]
    pipeline_arn: pulumi.Input[str]

    code: pulumi.Input[pulumi.Archive]
    """The function's files; their content decides the archive's hash."""

    handler: str
    """`module.function` in the archive."""

    role: Role
    """The function's."""

    kms_key_arn: pulumi.Input[str]

    schedule_role: Role | None = None
    """EventBridge Scheduler's; it may call the function and nothing else. Default: none, which
    schedules need."""

    alarm_names: Sequence[str] = ()
    """Alarms that start a run when they change to ALARM. Default: no alarm does."""

    schedules: Mapping[str, str] = field(default_factory=dict)
    """Schedule expressions by name, such as `cron(0 3 ? * SUN *)`, in UTC. Default: none."""

    cool_down_hours: int = 24
    """Least time between two starts. Default: a day."""

    max_runs_per_day: int = 1
    """Most starts in one UTC day. Default: one."""

    log_retention_days: int = 90
    """Days the function's log is kept. Default: 90."""

    alarm_action_arns: Sequence[pulumi.Input[str]] = ()
    """Told when triggers were given up. Default: nobody; the alarm is there to be looked at."""

    protect: bool = True
    """Refuse to delete the record of starts. Default: protected."""

    def __post_init__(self) -> None:
        if self.schedules and self.schedule_role is None:
            raise ValueError(f"schedules need a schedule_role, got {', '.join(self.schedules)}")


class Retraining(Component):
    """Triggers meet a lock, a cool-down and a daily cap before they become a run.

    The function is the only one that starts runs by itself, one at a time. What it starts ends in
    a model package that waits for a person: nothing here approves or deploys.
    """

    function_name: pulumi.Output[str]
    records_table_name: pulumi.Output[str]
    dead_letter_queue_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: RetrainingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        table = aws.dynamodb.Table(
            f"{name}-records",
            name=self.names.of(name),
            billing_mode="PAY_PER_REQUEST",
            hash_key="pipeline",
            attributes=[{"name": "pipeline", "type": "S"}],
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": args.kms_key_arn},
            deletion_protection_enabled=args.protect,
            tags=self.tags("records"),
            opts=self.kept(args.protect),
        )
        queue = aws.sqs.Queue(
            f"{name}-dead-letters",
            name=self.names.of(f"{name}-dead-letters"),
            kms_master_key_id=args.kms_key_arn,
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            tags=self.tags("dead-letters"),
            opts=self.child,
        )
        function = self._function(table, queue)
        if args.alarm_names:
            self._on_alarm(function, queue)
        for schedule, expression in args.schedules.items():
            self._on_schedule(schedule, expression, function, queue)
        self._alarm_on_dead_letters()
        self.function_name = function.name
        self.records_table_name = table.name
        self.dead_letter_queue_url = queue.url
        self.seal()

    def _function(self, table: aws.dynamodb.Table, queue: aws.sqs.Queue) -> aws.lambda_.Function:
        args, name = self._args, self.component_name
        function_name = self.names.of(name)
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/aws/lambda/{function_name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=self.tags("log"),
            opts=self.child,
        )
        allowed = self.grant(args.role, "start", self._statements(table, queue, log_group))
        function = aws.lambda_.Function(
            f"{name}-start",
            name=function_name,
            role=args.role.arn,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=args.handler,
            code=args.code,
            timeout=TIMEOUT_SECONDS,
            kms_key_arn=args.kms_key_arn,
            environment={
                "variables": {
                    "PIPELINE_NAME": args.pipeline_name,
                    "RECORDS_TABLE": table.name,
                    "COOL_DOWN_SECONDS": str(args.cool_down_hours * HOUR_SECONDS),
                    "MAX_RUNS_PER_DAY": str(args.max_runs_per_day),
                }
            },
            tags=self.tags("start"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log_group, allowed]),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-start",
            function_name=function.name,
            maximum_event_age_in_seconds=EVENT_AGE_SECONDS,
            maximum_retry_attempts=2,
            destination_config={"on_failure": {"destination": queue.arn}},
            opts=self.child,
        )
        return function

    def _on_alarm(self, function: aws.lambda_.Function, queue: aws.sqs.Queue) -> None:
        """Event pattern: CloudWatch user guide, "Alarm events and EventBridge"."""
        name = self.component_name
        rule = aws.cloudwatch.EventRule(
            f"{name}-alarms",
            name=self.names.of(f"{name}-alarms"),
            description="An alarm that asks for a new model went off",
            event_pattern=json.dumps(
                {
                    "source": ["aws.cloudwatch"],
                    "detail-type": ["CloudWatch Alarm State Change"],
                    "detail": {
                        "alarmName": sorted(self._args.alarm_names),
                        "state": {"value": ["ALARM"]},
                    },
                },
                sort_keys=True,
            ),
            tags=self.tags("alarms"),
            opts=self.child,
        )
        aws.lambda_.Permission(
            f"{name}-alarms",
            action="lambda:InvokeFunction",
            function=function.name,
            principal=EVENTS,
            source_arn=rule.arn,
            statement_id="alarms",
            opts=self.child,
        )
        aws.sqs.QueuePolicy(
            f"{name}-dead-letters",
            queue_url=queue.url,
            policy=pulumi.Output.json_dumps(_send_policy(queue.arn, rule.arn), sort_keys=True),
            opts=self.child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-alarms",
            rule=rule.name,
            target_id="start",
            arn=function.arn,
            retry_policy={
                "maximum_event_age_in_seconds": EVENT_AGE_SECONDS,
                "maximum_retry_attempts": 8,
            },
            dead_letter_config={"arn": queue.arn},
            opts=self.child,
        )

    def _on_schedule(
        self,
        schedule: str,
        expression: str,
        function: aws.lambda_.Function,
        queue: aws.sqs.Queue,
    ) -> None:
        role = self._args.schedule_role
        assert role is not None
        allowed = self.grant(
            role,
            f"call-{schedule}",
            [
                {"Action": ["lambda:InvokeFunction"], "Resource": [function.arn]},
                {"Action": ["sqs:SendMessage"], "Resource": [queue.arn]},
                {
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                    "Resource": [self._args.kms_key_arn],
                },
            ],
        )
        # The scheduler fills in the id of each firing: EventBridge Scheduler user guide, "Adding
        # context attributes". Two deliveries of one firing start one run.
        event = {
            "id": "<aws.scheduler.execution-id>",
            "detail": {"reason": f"schedule {schedule}"},
        }
        aws.scheduler.Schedule(
            f"{self.component_name}-{schedule}",
            name=self.names.of(f"{self.component_name}-{schedule}"),
            description=f"Trains again: {schedule}",
            schedule_expression=expression,
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": function.arn,
                "role_arn": role.arn,
                "input": json.dumps(event, sort_keys=True),
                "dead_letter_config": {"arn": queue.arn},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )

    def _alarm_on_dead_letters(self) -> None:
        # SQS developer guide, "Available CloudWatch metrics for Amazon SQS"
        aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-dead-letters",
            name=self.names.of(f"{self.component_name}-dead-letters"),
            alarm_description="Triggers of a new training run were given up",
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": self.names.of(f"{self.component_name}-dead-letters")},
            statistic="Maximum",
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=300,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
            alarm_actions=list(self._args.alarm_action_arns),
            tags=self.tags("dead-letters"),
            opts=self.child,
        )

    def _statements(
        self,
        table: aws.dynamodb.Table,
        queue: aws.sqs.Queue,
        log_group: aws.cloudwatch.LogGroup,
    ) -> list[dict[str, object]]:
        """Start this pipeline, remember that, write the log; approve and deploy nothing."""
        pipeline_arn = self._args.pipeline_arn
        return [
            {"Action": ["sagemaker:StartPipelineExecution"], "Resource": [pipeline_arn]},
            {
                "Action": ["sagemaker:DescribePipelineExecution"],
                "Resource": [pulumi.Output.concat(pipeline_arn, "/execution/*")],
            },
            {"Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": [table.arn]},
            {"Action": ["sqs:SendMessage"], "Resource": [queue.arn]},
            {
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [pulumi.Output.concat(log_group.arn, ":*")],
            },
        ]


def _send_policy(queue_arn: pulumi.Input[str], rule_arn: pulumi.Input[str]) -> dict[str, object]:
    """EventBridge may leave in the queue what it could not deliver for this rule."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": EVENTS},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            },
            tls_only("sqs:*", queue_arn),
        ],
    }
