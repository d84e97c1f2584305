"""Feature groups with an online store to serve from and an offline store to train from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role

FeatureType = Literal["String", "Integral", "Fractional"]
"""SageMaker's three scalar feature types (FeatureDefinition, SageMaker API reference)."""


@dataclass(frozen=True, kw_only=True)
class FeatureGroupSpec:
    """The schema of one feature group."""

    description: str
    record_identifier: str
    event_time: str
    """Its values are ISO 8601 strings or seconds since 1970."""

    features: Mapping[str, FeatureType]
    """Type by feature name, record identifier and event time included. Adding one is an update,
    removing or retyping one replaces the group."""

    online: bool = True
    """Keep the newest record per identifier for low-latency reads. Default: yes."""


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

    def __init__(
        self, name: str, args: FeatureStoreArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        offline_store = self._grant_offline_store(args)
        self._arns: list[pulumi.Output[str]] = []
        for entity, spec in args.groups.items():
            online = aws.sagemaker.FeatureGroupOnlineStoreConfigArgs(
                enable_online_store=True,
                security_config=aws.sagemaker.FeatureGroupOnlineStoreConfigSecurityConfigArgs(
                    kms_key_id=args.kms_key_arn
                ),
            )
            group = aws.sagemaker.FeatureGroup(
                f"{name}-{entity}",
                feature_group_name=self.names.of(entity),
                description=spec.description,
                record_identifier_feature_name=spec.record_identifier,
                event_time_feature_name=spec.event_time,
                feature_definitions=[
                    {"feature_name": feature, "feature_type": kind}
                    for feature, kind in spec.features.items()
                ],
                role_arn=args.role.arn,
                online_store_config=online if spec.online else None,
                offline_store_config={
                    "s3_storage_config": {
                        "s3_uri": pulumi.Output.concat("s3://", args.bucket_name, "/features"),
                        "kms_key_id": args.kms_key_arn,
                    },
                    "disable_glue_table_creation": False,
                },
                tags=self.tags(entity),
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect=args.protect,
                    retain_on_delete=args.protect,
                    depends_on=[offline_store, *args.depends_on],
                ),
            )
            self._arns.append(group.arn)
        self.feature_group_arns = pulumi.Output.all(*self._arns)
        self.seal()

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
                    "Resource": self._arns,
                }
            ],
        )

    def _grant_offline_store(self, args: FeatureStoreArgs) -> pulumi.Resource:
        bucket_arn = pulumi.Output.from_input(args.bucket_arn)
        return self.grant(
            args.role,
            "offline-store",
            [
                {
                    "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket"],
                    "Resource": [bucket_arn],
                },
                {
                    "Action": ["s3:GetObject", "s3:PutObject"],
                    "Resource": [pulumi.Output.concat(bucket_arn, "/features/*")],
                },
            ],
        )
