"""Engines that the workloads of an environment share: Spark and Kafka."""

from infra.access import RoleSpec
from infra.kafka import BrokersSpec, Kafka, KafkaArgs
from infra.network import Network
from infra.spark import Spark, SparkArgs
from infra.storage import Storage
from stacks.composition.ground import Ground
from stacks.settings import data as configuration
from stacks.settings.model import FoundationSettings


def roles(settings: FoundationSettings) -> dict[str, RoleSpec]:
    """What Spark's jobs act as."""
    return {"spark": RoleSpec(service="emr-serverless.amazonaws.com")} if settings.spark else {}


def build(ground: Ground, network: Network, storage: Storage) -> Spark | None:
    """Build whatever is switched on; the Spark application if there is one."""
    if ground.settings.kafka:
        _kafka(ground, ground.settings.kafka, network)
    if ground.settings.spark is None:
        return None
    return _spark(ground, ground.settings.spark, network, storage)


def _spark(
    ground: Ground, chosen: configuration.Spark, network: Network, storage: Storage
) -> Spark:
    role = ground.access.role("spark")
    spark = Spark(
        "spark",
        SparkArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            role=role,
            bucket_name=storage.bucket("data").bucket,
            kms_key_arn=ground.keys.arn("features"),
            subnet_ids=network.private_subnet_ids,
            security_group_ids=[network.workload_security_group_id],
            **chosen.model_dump(),
        ),
    )
    storage.grant_read_write(role, "data")
    ground.keys.grant_use(role, "features", "storage")
    return spark


def _kafka(ground: Ground, chosen: configuration.Kafka, network: Network) -> None:
    environment = ground.settings.environment
    Kafka(
        "kafka",
        KafkaArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            kms_key_arn=ground.keys.arn("features"),
            subnet_ids=network.private_subnet_ids,
            zones=len(environment.availability_zone_ids),
            security_group_ids=[network.workload_security_group_id],
            brokers=BrokersSpec(**chosen.brokers.model_dump()) if chosen.brokers else None,
            log_retention_days=chosen.log_retention_days,
            protect=environment.protect,
        ),
    )
