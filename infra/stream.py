"""A stream of events that a function writes on, and what catches what cannot be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role

RUNTIME = "python3.13"
"""Pinned: Lambda's end of support is announced years ahead (Lambda runtimes)."""

DEAD_LETTER_RETENTION_SECONDS = 14 * 86_400
"""The longest that SQS keeps a message: time to find out why it was refused."""


@dataclass(frozen=True, kw_only=True)
class StreamArgs(ComponentArgs):
    """What flows in, what handles it, and when a person is called."""

    code: pulumi.Input[pulumi.Archive]
    """The function's files. Their content decides the archive's hash, so only a changed function
    is an update."""

    handler: str
    """`module.function` in the archive."""

    role: Role
    """The function's; it gets what reading the stream takes, and no more from here."""

    kms_key_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Default: only DEAD_LETTER_QUEUE_URL, which is always there."""

    depends_on: Sequence[pulumi.Resource] = ()
    """Grants that must hold before the first record is handled. Default: nothing."""

    retention_hours: int = 24
    """How long records can be read again, 24 to 8760. Default: a day, which costs nothing."""

    batch_size: int = 100
    """Records per call at most, up to 10,000. Default: 100."""

    batching_window_seconds: int = 1
    """How long to wait for a fuller batch. Default: a second."""

    max_retries: int = 5
    """Calls for the same records before they are given up. Default: 5."""

    max_record_age_seconds: int = 3600
    """Age at which records are given up, tried or not. Default: an hour."""

    timeout_seconds: int = 60
    """For one batch. Default: a minute."""

    memory_mib: int = 256
    """Memory of the function; its share of a processor grows with it. Default: 256."""

    max_lag_seconds: int = 300
    """Age of what is being read above which the alarm goes off. Default: five minutes."""

    log_retention_days: int = 30
    """Default: 30."""

    alarm_action_arns: Sequence[pulumi.Input[str]] = ()
    """Told of every change of an alarm. Default: nobody; the alarms are there to be looked at."""

    protect: bool = True
    """Refuse to delete the stream: records that were not read go with it. Default: protected."""


class Stream(Component):
    """An encrypted on-demand Kinesis stream, its function, a dead-letter queue and alarms.

    On-demand, because a stream that is too small throttles its writers, who are not ours. Records
    that the function fails on are tried again alone (bisection, partial batches), then given up:
    one bad record never stops a shard for longer than the retries take.
    """

    stream_name: pulumi.Output[str]
    dead_letter_queue_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: StreamArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        stream = aws.kinesis.Stream(
            f"{name}-events",
            name=self.names.of(name),
            stream_mode_details={"stream_mode": "ON_DEMAND"},
            retention_period=args.retention_hours,
            encryption_type="KMS",
            kms_key_id=args.kms_key_arn,
            tags=self.tags("events"),
            opts=self.kept(args.protect),
        )
        queue = aws.sqs.Queue(
            f"{name}-dead-letters",
            name=self.names.of(f"{name}-dead-letters"),
            kms_master_key_id=args.kms_key_arn,
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            tags=self.tags("dead-letters"),
            opts=self.kept(args.protect),
        )
        self._stream_arn = stream.arn
        self.stream_name = stream.name
        self.dead_letter_queue_url = queue.url
        function = self._function(queue)
        self._mapping(stream, queue, function)
        self._alarms()
        self.seal()

    def grant_put(self, role: Role) -> None:
        """Let a role write to the stream."""
        actions = ["kinesis:DescribeStreamSummary", "kinesis:PutRecord", "kinesis:PutRecords"]
        self.grant(role, "put", [{"Action": actions, "Resource": [self._stream_arn]}])

    @property
    def _function_name(self) -> str:
        return self.names.of(self.component_name)

    def _function(self, queue: aws.sqs.Queue) -> aws.lambda_.Function:
        args, name = self._args, self.component_name
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/aws/lambda/{self._function_name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=self.tags("log"),
            opts=self.child,
        )
        allowed = self.grant(args.role, "handle", self._statements(queue, log_group))
        return aws.lambda_.Function(
            f"{name}-ingest",
            name=self._function_name,
            role=args.role.arn,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=args.handler,
            code=args.code,
            memory_size=args.memory_mib,
            timeout=args.timeout_seconds,
            kms_key_arn=args.kms_key_arn,
            environment={
                "variables": {"DEAD_LETTER_QUEUE_URL": queue.url, **args.environment},
            },
            vpc_config=aws.lambda_.FunctionVpcConfigArgs(
                subnet_ids=args.subnet_ids, security_group_ids=list(args.security_group_ids)
            ),
            tags=self.tags("ingest"),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[log_group, allowed, *args.depends_on]
            ),
        )

    def _mapping(
        self, stream: aws.kinesis.Stream, queue: aws.sqs.Queue, function: aws.lambda_.Function
    ) -> None:
        args = self._args
        aws.lambda_.EventSourceMapping(
            f"{self.component_name}-ingest",
            event_source_arn=stream.arn,
            function_name=function.arn,
            starting_position="TRIM_HORIZON",  # a new mapping misses nothing that is still there
            batch_size=args.batch_size,
            maximum_batching_window_in_seconds=args.batching_window_seconds,
            maximum_retry_attempts=args.max_retries,
            maximum_record_age_in_seconds=args.max_record_age_seconds,
            bisect_batch_on_function_error=True,
            function_response_types=["ReportBatchItemFailures"],
            destination_config={"on_failure": {"destination_arn": queue.arn}},
            tags=self.tags("ingest"),
            opts=self.child,
        )

    def _alarms(self) -> None:
        # Metric names: Lambda developer guide, "Types of metrics for Lambda functions"; SQS
        # developer guide, "Available CloudWatch metrics for Amazon SQS"
        function = {"FunctionName": self._function_name}
        self._alarm(
            "lag",
            description="Events wait too long before they are written",
            namespace="AWS/Lambda",
            metric_name="IteratorAge",
            statistic="Maximum",
            threshold=self._args.max_lag_seconds * 1000,
            dimensions=function,
        )
        self._alarm(
            "errors",
            description="The function fails, so that batches are tried again",
            namespace="AWS/Lambda",
            metric_name="Errors",
            statistic="Sum",
            threshold=1,
            dimensions=function,
        )
        self._alarm(
            "dead-letters",
            description="Events were given up and wait for a person",
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            statistic="Maximum",
            threshold=1,
            dimensions={"QueueName": self.names.of(f"{self.component_name}-dead-letters")},
        )

    def _alarm(
        self,
        role: str,
        *,
        description: str,
        namespace: str,
        metric_name: str,
        statistic: str,
        threshold: int,
        dimensions: Mapping[str, str],
    ) -> None:
        aws.cloudwatch.MetricAlarm(
            f"{self.component_name}-{role}",
            name=self.names.of(f"{self.component_name}-{role}"),
            alarm_description=description,
            namespace=namespace,
            metric_name=metric_name,
            statistic=statistic,
            threshold=threshold,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
            dimensions=dict(dimensions),
            alarm_actions=list(self._args.alarm_action_arns),
            ok_actions=list(self._args.alarm_action_arns),
            tags=self.tags(role),
            opts=self.child,
        )

    def _statements(
        self, queue: aws.sqs.Queue, log_group: aws.cloudwatch.LogGroup
    ) -> list[dict[str, object]]:
        """Read the stream, give up records, write the log, join the network."""
        return [
            {
                "Action": [
                    "kinesis:DescribeStream",
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                ],
                "Resource": [self._stream_arn],
            },
            {"Action": ["sqs:SendMessage"], "Resource": [queue.arn]},
            {
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [pulumi.Output.concat(log_group.arn, ":*")],
            },
            {
                "Action": [
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                "Resource": [self.names.arn("ec2", "*/*")],
            },
            {
                # Describe actions of EC2 have no resource-level permissions
                # (Amazon EC2, service authorization reference)
                "Action": ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"],
                "Resource": ["*"],
            },
        ]
