"""Spark without a cluster to keep: an EMR Serverless application for features and batch drift."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, Statement

ICEBERG = {
    # Amazon EMR Serverless user guide, "Using Apache Iceberg with EMR Serverless"
    "spark.jars": "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.glue": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.glue.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
    "spark.sql.catalog.glue.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "spark.hadoop.hive.metastore.client.factory.class": (
        "com.amazonaws.glue.catalog.metastore.AWSGlueDataCatalogHiveClientFactory"
    ),
}
"""Every job finds the Glue catalogue and its Iceberg tables as `glue.<database>.<table>`."""


@dataclass(frozen=True, kw_only=True)
class SparkArgs(ComponentArgs):
    """Which release, how much at most, and where its data is."""

    role: Role
    """The jobs' own: it gets the catalogue from here, buckets and keys from those who have them."""

    bucket_name: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    release_label: str
    """Pinned: a release decides the versions of Spark, Python and Iceberg."""

    max_vcpus: int
    """Of all jobs together: the limit of what an hour can cost."""

    max_memory_gib: int
    max_disk_gib: int = 1000
    """Default: 1000."""

    idle_timeout_minutes: int = 15
    """Minutes without a job after which workers are given back. Default: 15."""


class Spark(Component):
    """An application that starts with a job, stops when idle and cannot grow past its limits."""

    application_arn: pulumi.Output[str]
    application_id: pulumi.Output[str]
    database_name: pulumi.Output[str]
    """Of the Glue catalogue: where jobs register their tables."""

    def __init__(
        self, name: str, args: SparkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        database = aws.glue.CatalogDatabase(
            f"{name}-database",
            name=self.names.of(name).replace("-", "_"),
            description=f"Tables of the Spark jobs of {self.names.prefix}",
            location_uri=pulumi.Output.concat("s3://", args.bucket_name, f"/{name}/"),
            tags=self.tags("database"),
            opts=self.child,
        )
        application = aws.emrserverless.Application(
            f"{name}-application",
            name=self.names.of(name),
            type="spark",
            release_label=args.release_label,
            architecture="ARM64",
            maximum_capacity={
                "cpu": f"{args.max_vcpus} vCPU",
                "memory": f"{args.max_memory_gib} GB",
                "disk": f"{args.max_disk_gib} GB",
            },
            auto_start_configuration={"enabled": True},
            auto_stop_configuration={
                "enabled": True,
                "idle_timeout_minutes": args.idle_timeout_minutes,
            },
            network_configuration=aws.emrserverless.ApplicationNetworkConfigurationArgs(
                subnet_ids=args.subnet_ids, security_group_ids=list(args.security_group_ids)
            ),
            monitoring_configuration={
                # logs in our bucket as the jobs' role; the service's own copy needs a further key
                "managed_persistence_monitoring_configuration": {"enabled": False},
                "s3_monitoring_configuration": {
                    "log_uri": pulumi.Output.concat("s3://", args.bucket_name, f"/{name}/logs/"),
                    "encryption_key_arn": args.kms_key_arn,
                },
            },
            runtime_configurations=[{"classification": "spark-defaults", "properties": ICEBERG}],
            tags=self.tags("application"),
            opts=self.child,
        )
        self.application_arn = application.arn
        self.application_id = application.id
        self.database_name = database.name
        self._grant_catalogue(args.role, database)
        self.seal()

    def _grant_catalogue(self, role: Role, database: aws.glue.CatalogDatabase) -> None:
        """Glue asks for the catalogue, the database and its tables in every call."""
        names = self.names
        self.grant(
            role,
            "catalogue",
            [
                {
                    "Action": [
                        "glue:BatchCreatePartition",
                        "glue:CreateTable",
                        "glue:GetDatabase",
                        "glue:GetPartitions",
                        "glue:GetTable",
                        "glue:GetTables",
                        "glue:UpdateTable",
                    ],
                    "Resource": [
                        names.arn("glue", "catalog"),
                        database.arn,
                        pulumi.Output.concat(names.arn("glue", "table/"), database.name, "/*"),
                    ],
                }
            ],
        )


def run_spark(application_arn: pulumi.Input[str]) -> list[Statement]:
    """Starting jobs of an application and following them; passing the jobs' role comes on top."""
    runs = pulumi.Output.concat(application_arn, "/jobruns/*")
    return [
        {
            "Action": ["emr-serverless:GetApplication", "emr-serverless:StartJobRun"],
            "Resource": [application_arn],
        },
        {"Action": ["emr-serverless:CancelJobRun", "emr-serverless:GetJobRun"], "Resource": [runs]},
    ]
