"""Features: where they are stored and served."""

from dataclasses import asdict

from infra.access import RoleSpec
from infra.feature_store import (
    FeatureGroupSpec,
    FeatureStore,
    FeatureStoreArgs,
    Throughput,
    TimeToLive,
)
from pipelines.steps.feature_groups import FEATURE_GROUPS, FeatureGroup
from stacks.composition.foundation import Foundation
from stacks.settings import Settings
from stacks.settings import data as configuration

KEY_PURPOSES = ("features",)


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who writes the offline store."""
    return {"features": RoleSpec(service="sagemaker.amazonaws.com")}


def build(base: Foundation, settings: Settings) -> FeatureStore:
    """Build the feature groups."""
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
                for entity, schema in FEATURE_GROUPS.items()
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
        online=kept.online,
        storage_type=kept.storage_type,
        time_to_live=TimeToLive(**kept.time_to_live.model_dump()) if kept.time_to_live else None,
        throughput=Throughput(**kept.throughput.model_dump()) if kept.throughput else None,
        table_format=kept.table_format,
    )
