"""A scheduled job that measures how far requests have drifted from the training data."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role
from infra.instances import instance_type

NAMESPACE = "/aws/sagemaker/Endpoints/drift"
"""Of the job's metrics; the job's role may write to it."""

JOB_NAME_LIMIT = 63
"""Characters in the name of a processing job (SageMaker API reference)."""

EXECUTION_ID = 36
"""Characters that the scheduler puts in place of a firing's id."""

OUTPUT = "/opt/ml/processing/output/report"


@dataclass(frozen=True, kw_only=True)
class DriftArgs(ComponentArgs):
    """Which endpoint is watched, against which package, how often."""

    endpoint_name: str
    model_package_arn: str
    """What is served. Its run's own training data is the baseline, so the baseline changes with
    the package and never by itself."""

    image_uri: str
    """The workload image."""

    entrypoint: Sequence[str]
    """Program of the job in that image."""

    capture_uri: str
    """`s3://bucket/prefix` under which the endpoint's variants keep what they were asked."""

    report_uri: str
    """`s3://bucket/prefix` of the reports; a folder per package is added."""

    role: Role
    """The job's."""

    schedule_role: Role
    """EventBridge Scheduler's; it may start this job and nothing else."""

    kms_key_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    """Where the job runs; its role must be allowed to put network interfaces there."""

    schedule_expression: str = "rate(1 day)"
    """In UTC. Default: daily."""

    hours: int = 24
    """How far back requests are looked at. Default: a day."""

    max_index: float = 0.25
    """Population stability index of the worst feature from which the alarm goes off. Default: by
    custom, a quarter."""

    instance_type: str = "ml.m5.large"
    max_runtime_seconds: int = 3600
    alarm_action_arns: Sequence[pulumi.Input[str]] = ()
    """Told of drift. Default: nobody."""


class Drift(Component):
    """A processing job on a schedule, and the alarm on the worst feature's drift.

    Our own job and not SageMaker Model Monitor, which takes no new customers since 2026-07-30
    (developer guide, "Amazon SageMaker Model Monitor availability change").
    """

    def __init__(
        self, name: str, args: DriftArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        self.alarm_name = self.names.of(name)
        self.job_name_prefix = self.names.short(name, JOB_NAME_LIMIT - EXECUTION_ID - 1)
        self._grant_job()
        allowed = self._grant_schedule()
        aws.scheduler.Schedule(
            f"{name}-schedule",
            name=self.names.of(name),
            description=f"Measures drift of {args.endpoint_name}",
            schedule_expression=args.schedule_expression,
            flexible_time_window={"mode": "FLEXIBLE", "maximum_window_in_minutes": 15},
            target={
                # a universal target (EventBridge Scheduler user guide)
                "arn": self.names.universal_target("sagemaker:createProcessingJob"),
                "role_arn": args.schedule_role.arn,
                "input": pulumi.Output.json_dumps(self._job(), sort_keys=True),
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        aws.cloudwatch.MetricAlarm(
            f"{name}-alarm",
            name=self.alarm_name,
            alarm_description="Requests are unlike the data that the model was trained on",
            namespace=NAMESPACE,
            metric_name="worst_drift",
            dimensions={"EndpointName": args.endpoint_name},
            statistic="Maximum",
            threshold=args.max_index,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=3600,
            evaluation_periods=1,
            treat_missing_data="ignore",  # between two jobs nothing is known
            alarm_actions=list(args.alarm_action_arns),
            tags=self.tags("alarm"),
            opts=self.child,
        )
        self.seal()

    def _job(self) -> dict[str, object]:
        """A CreateProcessingJob request; the scheduler fills in the id of each firing."""
        args = self._args
        has_nvme = instance_type(args.instance_type).local_nvme
        version = args.model_package_arn.rpartition("/")[2]
        report = {
            "S3Uri": f"{args.report_uri}/{version}",
            "LocalPath": OUTPUT,
            "S3UploadMode": "EndOfJob",
        }
        return {
            "ProcessingJobName": f"{self.job_name_prefix}-<aws.scheduler.execution-id>",
            "RoleArn": args.role.arn,
            "AppSpecification": {
                "ImageUri": args.image_uri,
                "ContainerEntrypoint": list(args.entrypoint),
                "ContainerArguments": [
                    *("--model-package-arn", args.model_package_arn),
                    *("--endpoint-name", args.endpoint_name),
                    *("--capture-uri", args.capture_uri),
                    *("--hours", str(args.hours)),
                ],
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": args.instance_type,
                    "VolumeSizeInGB": 30,
                    **({} if has_nvme else {"VolumeKmsKeyId": args.kms_key_arn}),
                }
            },
            "ProcessingOutputConfig": {
                "KmsKeyId": args.kms_key_arn,
                "Outputs": [{"OutputName": "report", "S3Output": report}],
            },
            "NetworkConfig": {
                # it reads captures from S3 and writes metrics: isolated, it could do neither
                "EnableNetworkIsolation": False,
                "EnableInterContainerTrafficEncryption": True,
                "VpcConfig": {
                    "Subnets": args.subnet_ids,
                    "SecurityGroupIds": list(args.security_group_ids),
                },
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": args.max_runtime_seconds},
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags("job").items()],
        }

    def _grant_job(self) -> None:
        package = {
            "Action": ["sagemaker:DescribeModelPackage"],
            "Resource": [self._args.model_package_arn],
        }
        self.grant(self._args.role, "baseline", [package])

    def _grant_schedule(self) -> pulumi.Resource:
        jobs = self.names.arn("sagemaker", f"processing-job/{self.job_name_prefix}-*")
        return self.grant(
            self._args.schedule_role,
            "start",
            [
                {
                    "Action": ["sagemaker:AddTags", "sagemaker:CreateProcessingJob"],
                    "Resource": [jobs],
                },
                {
                    "Action": ["iam:PassRole"],
                    "Resource": [self._args.role.arn],
                    "Condition": {
                        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
                    },
                },
            ],
        )
