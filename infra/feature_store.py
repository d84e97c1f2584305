"""Feature groups with an online store to serve from and an offline store to train from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, Statement
from infra.naming import Names

FeatureType = Literal["String", "Integral", "Fractional"]
"""SageMaker's three scalar feature types (FeatureDefinition, SageMaker API reference)."""

FOLDER = "features"
"""Of the offline stores, in the bucket of data."""


@dataclass(frozen=True, kw_only=True)
class TimeToLive:
    """How long after its event time a record is served online."""

    unit: Literal["Seconds", "Minutes", "Hours", "Days", "Weeks"]
    value: int


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """How the reads and writes of an online store are paid for (ThroughputConfig)."""

    mode: Literal["OnDemand", "Provisioned"] = "OnDemand"
    """Default: per request; `Provisioned` reserves the units below."""

    read_capacity_units: int | None = None
    """Strongly consistent reads of 4 KB per second. Default: none, as `OnDemand` demands."""

    write_capacity_units: int | None = None
    """Writes of 1 KB per second. Default: none, as `OnDemand` demands."""


@dataclass(frozen=True, kw_only=True)
class FeatureGroupSpec:
    """The schema of one feature group and how its records are kept."""

    description: str
    record_identifier: str
    event_time: str
    """Its values are ISO 8601 strings or seconds since 1970."""

    features: Mapping[str, FeatureType]
    """Type by feature name, in the order of creation, record identifier and event time included.
    A new one goes last. SageMaker adds it in place, but the AWS provider replaces the group and its
    online records: `plinth add-features` first. Removing or retyping one replaces it too."""

    data_class: str = "internal"
    """What the records are about, as a tag: of `personal` ones, rules ask how long they are kept.
    Default: `internal`."""

    online: bool = True
    """Keep the newest record per identifier for low-latency reads. Default: yes."""

    storage_type: Literal["Standard", "InMemory"] = "Standard"
    """Tier of the online store, fixed at creation. Default: SSD behind single-digit milliseconds;
    `InMemory` is below one and goes without an offline store."""

    time_to_live: TimeToLive | None = None
    """Default: records are served until they are replaced or deleted."""

    throughput: Throughput | None = None
    """Default: SageMaker's own, which is on demand."""

    table_format: Literal["Glue", "Iceberg"] | None = "Glue"
    """Format of the offline store, fixed at creation; None: no offline store. Default: Parquet
    files with a Glue table, which jobs may also read and write as plain files."""

    def __post_init__(self) -> None:
        if not self.online and self.table_format is None:
            raise ValueError("a feature group must be online or have a table_format, got neither")
        if self.storage_type == "InMemory" and (not self.online or self.table_format):
            raise ValueError(
                "storage_type InMemory must be online with table_format None, "
                f"got online {self.online}, table_format {self.table_format!r}"
            )


@dataclass(frozen=True, kw_only=True)
class FeatureStoreArgs(ComponentArgs):
    """The groups and where they keep their records."""

    groups: Mapping[str, FeatureGroupSpec]
    role: Role
    bucket_name: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    depends_on: Sequence[pulumi.Resource] = ()
    """Created first: SageMaker checks at creation that the role can reach bucket and key.
    Default: nothing."""

    protect: bool = True
    """Refuse to delete a group: its online records go with it. Default: protected."""


class FeatureStore(Component):
    """One SageMaker feature group per entity, encrypted online and offline."""

    feature_group_arns: pulumi.Output[dict[str, str]]
    """ARN by entity."""

    def __init__(
        self, name: str, args: FeatureStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        options = pulumi.ResourceOptions(
            parent=self,
            protect=args.protect,
            retain_on_delete=args.protect,
            depends_on=[self._grant_offline_store(args), *args.depends_on],
        )
        self._arns = {
            entity: self._group(entity, spec, options).arn for entity, spec in args.groups.items()
        }
        self.feature_group_arns = pulumi.Output.all(**self._arns)
        self.seal()

    def feature_group_name(self, entity: str) -> str:
        """Name of an entity's group, known before it exists."""
        return self.names.of(entity)

    def _group(
        self, entity: str, spec: FeatureGroupSpec, options: pulumi.ResourceOptions
    ) -> aws.sagemaker.FeatureGroup:
        return aws.sagemaker.FeatureGroup(
            f"{self.component_name}-{entity}",
            feature_group_name=self.feature_group_name(entity),
            description=spec.description,
            record_identifier_feature_name=spec.record_identifier,
            event_time_feature_name=spec.event_time,
            feature_definitions=[
                {"feature_name": feature, "feature_type": kind}
                for feature, kind in spec.features.items()
            ],
            role_arn=self._args.role.arn,
            online_store_config=self._online_store(spec) if spec.online else None,
            offline_store_config=self._offline_store(spec) if spec.table_format else None,
            throughput_config=_throughput(spec.throughput),
            tags={**self.tags(entity), "data_class": spec.data_class},
            opts=options,
        )

    def _online_store(
        self, spec: FeatureGroupSpec
    ) -> aws.sagemaker.FeatureGroupOnlineStoreConfigArgs:
        return aws.sagemaker.FeatureGroupOnlineStoreConfigArgs(
            enable_online_store=True,
            security_config=aws.sagemaker.FeatureGroupOnlineStoreConfigSecurityConfigArgs(
                kms_key_id=self._args.kms_key_arn
            ),
            # absent is Standard, and naming it would replace a group that was made without
            storage_type=None if spec.storage_type == "Standard" else spec.storage_type,
            ttl_duration=_ttl(spec.time_to_live),
        )

    def _offline_store(
        self, spec: FeatureGroupSpec
    ) -> aws.sagemaker.FeatureGroupOfflineStoreConfigArgs:
        storage = aws.sagemaker.FeatureGroupOfflineStoreConfigS3StorageConfigArgs(
            s3_uri=pulumi.Output.concat("s3://", self._args.bucket_name, f"/{FOLDER}"),
            kms_key_id=self._args.kms_key_arn,
        )
        return aws.sagemaker.FeatureGroupOfflineStoreConfigArgs(
            s3_storage_config=storage,
            disable_glue_table_creation=False,
            table_format=None if spec.table_format == "Glue" else spec.table_format,
        )

    def grant_read_write(self, role: Role) -> None:
        """Let a role describe the groups and read and write their records."""
        self.grant(
            role,
            "read-write",
            [
                {
                    "Action": [
                        "sagemaker:BatchGetRecord",
                        "sagemaker:DescribeFeatureGroup",
                        "sagemaker:GetRecord",
                        "sagemaker:PutRecord",
                    ],
                    "Resource": list(self._arns.values()),
                }
            ],
        )

    def grant_put(self, role: Role) -> pulumi.Resource:
        """Let a role write records and nothing else."""
        groups = list(self._arns.values())
        return self.grant(role, "put", [{"Action": ["sagemaker:PutRecord"], "Resource": groups}])

    def _grant_offline_store(self, args: FeatureStoreArgs) -> pulumi.Resource:
        bucket_arn = pulumi.Output.from_input(args.bucket_arn)
        own = offline_keys(self.names, self.names.prefix)
        return self.grant(
            args.role,
            "offline-store",
            [
                {
                    "Action": ["s3:GetBucketAcl"],
                    "Resource": [bucket_arn],
                },
                {
                    # as AWS's own AmazonSageMakerFeatureStoreAccess: with the right for the owner
                    "Action": ["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"],
                    "Resource": [pulumi.Output.concat(bucket_arn, "/", own)],
                },
            ],
        )


def offline_keys(names: Names, name: str) -> str:
    """Pattern of the keys under which records lie in the bucket of data, by their group's name.

    SageMaker adds the time of the group's creation (developer guide, "Feature Store offline store
    data format"), so the beginning of several names stands for all of them.
    """
    return f"{FOLDER}/{names.account_id}/sagemaker/{names.region}/offline-store/{name}-*"


def read_groups(names: Names, groups: Sequence[str]) -> list[Statement]:
    """Describing groups of other workloads, given by their names, and reading their records."""
    bucket = names.bucket_arn(names.bucket("data"))
    keys = [offline_keys(names, group) for group in sorted(groups)]
    return [
        {
            "Action": [
                "sagemaker:BatchGetRecord",
                "sagemaker:DescribeFeatureGroup",
                "sagemaker:GetRecord",
            ],
            "Resource": [
                names.arn("sagemaker", f"feature-group/{group}") for group in sorted(groups)
            ],
        },
        {
            "Action": ["s3:ListBucket"],
            "Resource": [bucket],
            "Condition": {"StringLike": {"s3:prefix": keys}},
        },
        {"Action": ["s3:GetObject"], "Resource": [f"{bucket}/{key}" for key in keys]},
    ]


def _throughput(
    throughput: Throughput | None,
) -> aws.sagemaker.FeatureGroupThroughputConfigArgs | None:
    if throughput is None:
        return None
    return aws.sagemaker.FeatureGroupThroughputConfigArgs(
        throughput_mode=throughput.mode,
        provisioned_read_capacity_units=throughput.read_capacity_units,
        provisioned_write_capacity_units=throughput.write_capacity_units,
    )


def _ttl(
    time_to_live: TimeToLive | None,
) -> aws.sagemaker.FeatureGroupOnlineStoreConfigTtlDurationArgs | None:
    if time_to_live is None:
        return None
    return aws.sagemaker.FeatureGroupOnlineStoreConfigTtlDurationArgs(
        unit=time_to_live.unit, value=time_to_live.value
    )
