"""Features: where they are stored and served, and what fills them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pulumi

from infra.access import RoleSpec
from infra.feast import CacheSpec, Feast, FeastArgs
from infra.feature_store import (
    FeatureGroupSpec,
    FeatureStore,
    FeatureStoreArgs,
    Throughput,
    TimeToLive,
)
from infra.kafka import BrokersSpec, Kafka, KafkaArgs
from infra.spark import Spark, SparkArgs
from infra.stream import Stream, StreamArgs
from pipelines import stream as stream_code
from pipelines.steps.feature_groups import FEATURE_GROUPS, FeatureGroup
from stacks.composition.foundation import Foundation
from stacks.settings import data as configuration
from stacks.settings.model import Settings

KEY_PURPOSES = ("features",)


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who writes the offline store, and who reads the stream."""
    wanted = {"features": RoleSpec(service="sagemaker.amazonaws.com")}
    if settings.stream:
        wanted["stream"] = RoleSpec(service="lambda.amazonaws.com")
    if settings.spark:
        wanted["spark"] = RoleSpec(service="emr-serverless.amazonaws.com")
    return wanted


def build(
    base: Foundation, settings: Settings, schemas: Mapping[str, FeatureGroup] = FEATURE_GROUPS
) -> FeatureStore:
    """Build the feature groups and what fills them."""
    store = _features(base, settings, schemas)
    if settings.stream:
        _stream(base, settings.stream, store, settings.protect)
    if settings.feast:
        _feast(base, settings.feast, settings.protect)
    if settings.spark:
        _spark(base, settings.spark)
    if settings.kafka:
        _kafka(base, settings.kafka, settings)
    return store


def _features(
    base: Foundation, settings: Settings, schemas: Mapping[str, FeatureGroup]
) -> FeatureStore:
    data = base.storage.bucket("data")
    role = base.access.role("features")
    may_encrypt = base.keys.grant_use(role, "features", "storage")
    store = FeatureStore(
        "features",
        FeatureStoreArgs(
            names=base.common.names,
            tags=base.common.tags,
            groups={
                entity: _spec(schema, settings.features.group(entity))
                for entity, schema in schemas.items()
            },
            role=role,
            bucket_name=data.bucket,
            bucket_arn=data.arn,
            kms_key_arn=base.keys.arn("features"),
            depends_on=[may_encrypt],
            protect=settings.protect,
        ),
    )
    store.grant_read_write(base.access.role("job"))
    return store


def _spec(schema: FeatureGroup, kept: configuration.FeatureGroup) -> FeatureGroupSpec:
    return FeatureGroupSpec(
        **asdict(schema),
        data_class=kept.data_class,
        online=kept.online,
        storage_type=kept.storage_type,
        time_to_live=TimeToLive(**kept.time_to_live.model_dump()) if kept.time_to_live else None,
        throughput=Throughput(**kept.throughput.model_dump()) if kept.throughput else None,
        table_format=kept.table_format,
    )


def _stream(
    base: Foundation, chosen: configuration.Stream, store: FeatureStore, protect: bool
) -> Stream:
    role, names = base.access.role("stream"), base.common.names
    groups = {entity: store.feature_group_name(entity) for entity in FEATURE_GROUPS}
    return Stream(
        "stream",
        StreamArgs(
            names=base.common.names,
            tags=base.common.tags,
            code=_archive(Path(stream_code.__file__).parent),
            handler="ingest.handler",
            role=role,
            kms_key_arn=base.keys.arn("features"),
            subnet_ids=base.network.private_subnet_ids,
            security_group_ids=[base.network.workload_security_group_id],
            environment={"FEATURE_GROUPS": json.dumps(groups, sort_keys=True)},
            depends_on=[base.keys.grant_use(role, "features"), store.grant_put(role)],
            # the topic comes later, with those who watch everything; an alarm may name it before
            alarm_action_arns=[names.arn("sns", names.of("alerts"))],
            protect=protect,
            **chosen.model_dump(),
        ),
    )


def _feast(base: Foundation, chosen: configuration.Feast, protect: bool) -> None:
    data = base.storage.bucket("data")
    feast = Feast(
        "feast",
        FeastArgs(
            names=base.common.names,
            tags=base.common.tags,
            feature_views=list(FEATURE_GROUPS),
            bucket_name=data.bucket,
            bucket_arn=data.arn,
            kms_key_arn=base.keys.arn("features"),
            cache=CacheSpec(**chosen.cache.model_dump()) if chosen.cache else None,
            subnet_ids=base.network.private_subnet_ids,
            security_group_ids=[base.network.workload_security_group_id],
            protect=protect,
        ),
    )
    job = base.access.role("job")
    feast.grant_apply(job)
    feast.grant_materialize(job)
    feast.grant_read(base.access.role("serving"))


def _spark(base: Foundation, chosen: configuration.Spark) -> None:
    role, job = base.access.role("spark"), base.access.role("job")
    spark = Spark(
        "spark",
        SparkArgs(
            names=base.common.names,
            tags=base.common.tags,
            role=role,
            bucket_name=base.storage.bucket("data").bucket,
            kms_key_arn=base.keys.arn("features"),
            subnet_ids=base.network.private_subnet_ids,
            security_group_ids=[base.network.workload_security_group_id],
            **chosen.model_dump(),
        ),
    )
    base.storage.grant_read_write(role, "data")
    base.keys.grant_use(role, "features", "storage")
    spark.grant_run(job)
    base.access.grant_pass(job, [role], "emr-serverless.amazonaws.com")


def _kafka(base: Foundation, chosen: configuration.Kafka, settings: Settings) -> None:
    Kafka(
        "kafka",
        KafkaArgs(
            names=base.common.names,
            tags=base.common.tags,
            kms_key_arn=base.keys.arn("features"),
            subnet_ids=base.network.private_subnet_ids,
            zones=len(settings.network.availability_zone_ids),
            security_group_ids=[base.network.workload_security_group_id],
            brokers=BrokersSpec(**chosen.brokers.model_dump()) if chosen.brokers else None,
            log_retention_days=chosen.log_retention_days,
            protect=settings.protect,
        ),
    )


def _archive(folder: Path) -> pulumi.AssetArchive:
    """The modules of a folder, side by side, as a function's code; its hash is their content's."""
    paths = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    return pulumi.AssetArchive({p.name: pulumi.StringAsset(p.read_text()) for p in paths})
