"""Engines that the workloads of an environment share: Spark and Kafka."""

from infra.access import Access, RoleSpec
from infra.component import ComponentArgs
from infra.kafka import BrokersSpec, Kafka, KafkaArgs
from infra.keys import Keys
from infra.network import Network
from infra.spark import Spark, SparkArgs
from infra.storage import Storage
from stacks.settings import data as configuration
from stacks.settings.model import FoundationSettings


def roles(settings: FoundationSettings) -> dict[str, RoleSpec]:
    """What Spark's jobs act as."""
    return {"spark": RoleSpec(service="emr-serverless.amazonaws.com")} if settings.spark else {}


def build(
    common: ComponentArgs,
    settings: FoundationSettings,
    *,
    keys: Keys,
    access: Access,
    network: Network,
    storage: Storage,
) -> Spark | None:
    """Build whatever is switched on; the Spark application if there is one."""
    if settings.kafka:
        _kafka(common, settings, settings.kafka, keys, network)
    if settings.spark is None:
        return None
    return _spark(common, settings.spark, keys, access, network, storage)


def _spark(
    common: ComponentArgs,
    chosen: configuration.Spark,
    keys: Keys,
    access: Access,
    network: Network,
    storage: Storage,
) -> Spark:
    role = access.role("spark")
    spark = Spark(
        "spark",
        SparkArgs(
            names=common.names,
            tags=common.tags,
            role=role,
            bucket_name=storage.bucket("data").bucket,
            kms_key_arn=keys.arn("features"),
            subnet_ids=network.private_subnet_ids,
            security_group_ids=[network.workload_security_group_id],
            **chosen.model_dump(),
        ),
    )
    storage.grant_read_write(role, "data")
    keys.grant_use(role, "features", "storage")
    return spark


def _kafka(
    common: ComponentArgs,
    settings: FoundationSettings,
    chosen: configuration.Kafka,
    keys: Keys,
    network: Network,
) -> None:
    Kafka(
        "kafka",
        KafkaArgs(
            names=common.names,
            tags=common.tags,
            kms_key_arn=keys.arn("features"),
            subnet_ids=network.private_subnet_ids,
            zones=len(settings.environment.availability_zone_ids),
            security_group_ids=[network.workload_security_group_id],
            brokers=BrokersSpec(**chosen.brokers.model_dump()) if chosen.brokers else None,
            log_retention_days=chosen.log_retention_days,
            protect=settings.environment.protect,
        ),
    )
