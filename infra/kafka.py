"""Kafka, for events whose producers and consumers already speak it: Amazon MSK."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs

SERVER_PROPERTIES = {
    "auto.create.topics.enable": "false",  # a misspelt topic is an error, not a topic
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}
"""A broker may be lost and no acknowledged record with it (MSK developer guide, best practices)."""


@dataclass(frozen=True, kw_only=True)
class BrokersSpec:
    """A cluster of a fixed size."""

    instance_type: str
    """Such as `kafka.m7g.large`."""

    kafka_version: str
    """Pinned: MSK upgrades brokers one by one when it changes."""

    per_zone: int = 1
    """Default: one broker in each zone."""

    storage_gib: int = 100
    """Of each broker. Default: 100."""


@dataclass(frozen=True, kw_only=True)
class KafkaArgs(ComponentArgs):
    """How the cluster is sized and reached."""

    kms_key_arn: pulumi.Input[str]
    subnet_ids: pulumi.Output[list[str]]
    """One per zone, at least two."""

    zones: int
    """How many subnets there are."""

    security_group_ids: Sequence[pulumi.Input[str]]
    """Of the brokers; their clients must be in one of them."""

    brokers: BrokersSpec | None = None
    """Default: serverless, which scales by itself and is encrypted with a key of AWS."""

    log_retention_days: int = 30
    """Of the brokers' log. Default: 30."""

    protect: bool = True
    """Refuse to delete the cluster: its topics go with it. Default: protected."""


class Kafka(Component):
    """A cluster that takes TLS and IAM and nothing else: who may do what stands in policies."""

    cluster_arn: pulumi.Output[str]
    bootstrap_brokers: pulumi.Output[str]
    """Addresses for clients that authenticate with IAM."""

    def __init__(
        self, name: str, args: KafkaArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        cluster = self._provisioned(args.brokers) if args.brokers else self._serverless()
        self.cluster_arn = cluster.arn
        self.bootstrap_brokers = cluster.bootstrap_brokers_sasl_iam
        self.seal()

    def _serverless(self) -> aws.msk.ServerlessCluster:
        args = self._args
        return aws.msk.ServerlessCluster(
            f"{self.component_name}-cluster",
            cluster_name=self.names.of(self.component_name),
            vpc_configs=[
                aws.msk.ServerlessClusterVpcConfigArgs(
                    subnet_ids=args.subnet_ids, security_group_ids=list(args.security_group_ids)
                )
            ],
            client_authentication={"sasl": {"iam": {"enabled": True}}},
            tags=self.tags("cluster"),
            opts=self.kept(args.protect),
        )

    def _provisioned(self, spec: BrokersSpec) -> aws.msk.Cluster:
        args, name = self._args, self.component_name
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=f"/aws/msk/{self.names.of(name)}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            tags=self.tags("log"),
            opts=self.child,
        )
        configuration = aws.msk.Configuration(
            f"{name}-configuration",
            name=self.names.of(name),
            description=f"Brokers of {self.names.of(name)}",
            kafka_versions=[spec.kafka_version],
            server_properties="\n".join(f"{k}={v}" for k, v in SERVER_PROPERTIES.items()) + "\n",
            opts=self.child,
        )
        return aws.msk.Cluster(
            f"{name}-cluster",
            cluster_name=self.names.of(name),
            kafka_version=spec.kafka_version,
            number_of_broker_nodes=spec.per_zone * args.zones,
            broker_node_group_info={
                "client_subnets": args.subnet_ids,
                "security_groups": list(args.security_group_ids),
                "instance_type": spec.instance_type,
                "storage_info": {"ebs_storage_info": {"volume_size": spec.storage_gib}},
            },
            client_authentication={"sasl": {"iam": True}, "unauthenticated": False},
            encryption_info={
                "encryption_at_rest_kms_key_arn": args.kms_key_arn,
                "encryption_in_transit": {"client_broker": "TLS", "in_cluster": True},
            },
            configuration_info={
                "arn": configuration.arn,
                "revision": configuration.latest_revision,
            },
            enhanced_monitoring="PER_BROKER",
            logging_info={
                "broker_logs": {
                    "cloudwatch_logs": {"enabled": True, "log_group": log_group.name},
                },
            },
            tags=self.tags("cluster"),
            opts=self.kept(args.protect),
        )
