"""Features of a workload: where they are stored and served, and what fills them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pulumi

from infra.access import RoleSpec
from infra.component import Statement
from infra.feast import CacheSpec, Feast, FeastArgs
from infra.feature_store import (
    FeatureGroupSpec,
    FeatureStore,
    FeatureStoreArgs,
    Throughput,
    TimeToLive,
    read_groups,
)
from infra.stream import Stream, StreamArgs
from pipelines import stream as stream_code
from stacks.composition.base import SAGEMAKER, Base
from stacks.definitions import feature_groups
from stacks.settings import data as configuration
from stacks.settings.model import WorkloadSettings


def roles(settings: WorkloadSettings) -> dict[str, RoleSpec]:
    """Who writes the offline store, and who reads the stream."""
    wanted = {}
    if settings.workload.feature_groups:
        wanted["features"] = RoleSpec(service=SAGEMAKER, says_account=False)
    if settings.stream:
        wanted["stream"] = RoleSpec(service="lambda.amazonaws.com")
    return wanted


def build(base: Base, settings: WorkloadSettings) -> Sequence[pulumi.Resource]:
    """Build the feature groups and what fills them; returns what a pipeline needs to be there."""
    if not settings.workload.feature_groups:
        return []
    store = _features(base, settings)
    store.grant_read_write(base.access.role("job"))
    if settings.stream:
        _stream(base, settings, settings.stream, store)
    if settings.feast:
        _feast(base, settings, settings.feast)
    return [store]


def read_used(base: Base, settings: WorkloadSettings) -> list[Statement]:
    """Reading the groups that other workloads own and this one uses, by their names."""
    used = [
        name
        for logical, name in feature_groups(base.names, settings.workload).items()
        if "." in logical
    ]
    return read_groups(base.names, used) if used else []


def _features(base: Base, settings: WorkloadSettings) -> FeatureStore:
    role, bucket = base.access.role("features"), base.names.bucket("data")
    may_encrypt = base.access.allow(role, base.use_keys("features", "storage"))
    return FeatureStore(
        "features",
        FeatureStoreArgs(
            names=base.names,
            tags=base.common.tags,
            groups={
                name: _spec(asdict(schema), settings.features.group(name))
                for name, schema in settings.workload.feature_groups.items()
            },
            role=role,
            bucket_name=bucket,
            bucket_arn=base.names.bucket_arn(bucket),
            kms_key_arn=base.key("features"),
            depends_on=[may_encrypt],
            protect=base.environment.protect,
        ),
    )


def _spec(schema: Mapping[str, Any], kept: configuration.FeatureGroup) -> FeatureGroupSpec:
    return FeatureGroupSpec(
        **schema,
        data_class=kept.data_class,
        online=kept.online,
        storage_type=kept.storage_type,
        time_to_live=TimeToLive(**kept.time_to_live.model_dump()) if kept.time_to_live else None,
        throughput=Throughput(**kept.throughput.model_dump()) if kept.throughput else None,
        table_format=kept.table_format,
    )


def _stream(
    base: Base, settings: WorkloadSettings, chosen: configuration.Stream, store: FeatureStore
) -> Stream:
    role = base.access.role("stream")
    groups = {name: store.feature_group_name(name) for name in settings.workload.stream_groups}
    return Stream(
        "stream",
        StreamArgs(
            names=base.names,
            tags=base.common.tags,
            code=_archive(Path(stream_code.__file__).parent),
            handler="ingest.handler",
            role=role,
            kms_key_arn=base.key("features"),
            subnet_ids=base.subnet_ids,
            security_group_ids=[base.contract.workload_security_group_id],
            environment={"FEATURE_GROUPS": json.dumps(groups, sort_keys=True)},
            depends_on=[base.access.allow(role, base.use_keys("features")), store.grant_put(role)],
            alarm_action_arns=[base.contract.alerts_topic_arn],
            protect=base.environment.protect,
            **chosen.model_dump(),
        ),
    )


def _feast(base: Base, settings: WorkloadSettings, chosen: configuration.Feast) -> None:
    bucket = base.names.bucket("data")
    feast = Feast(
        "feast",
        FeastArgs(
            names=base.names,
            tags=base.common.tags,
            feature_views=list(settings.workload.feature_groups),
            bucket_name=bucket,
            bucket_arn=base.names.bucket_arn(bucket),
            kms_key_arn=base.key("features"),
            cache=CacheSpec(**chosen.cache.model_dump()) if chosen.cache else None,
            subnet_ids=base.subnet_ids,
            security_group_ids=[base.contract.workload_security_group_id],
            protect=base.environment.protect,
        ),
    )
    job = base.access.role("job")
    feast.grant_apply(job)
    feast.grant_materialize(job)
    if settings.workload.model is not None:
        feast.grant_read(base.access.role("serving"))


def _archive(folder: Path) -> pulumi.AssetArchive:
    """The modules of a folder, side by side, as a function's code; its hash is their content's."""
    paths = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    return pulumi.AssetArchive({p.name: pulumi.StringAsset(p.read_text()) for p in paths})
