"""Programs for the rules about databases, streams and networks; see case.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi_aws as aws

from tests.policies.cases.case import KEY, Case, Program
from tests.policies.cases.platform_services import OUTSIDE, quartet


def database(**changes: Any) -> None:
    shape: dict[str, Any] = {
        "storage_encrypted": True,
        "kms_key_id": KEY,
        "backup_retention_period": 7,
        "iam_database_authentication_enabled": True,
        "deletion_protection": True,
        "multi_az": True,
    }
    aws.rds.Instance("db", instance_class="db.m6g.large", **{**shape, **changes})


def table(**changes: Any) -> None:
    shape: dict[str, Any] = {
        "name": "t",
        "billing_mode": "PAY_PER_REQUEST",
        "server_side_encryption": {"enabled": True, "kms_key_arn": KEY},
        "point_in_time_recovery": {"enabled": True},
        "deletion_protection_enabled": True,
    }
    aws.dynamodb.Table("table", **{**shape, **changes})


def scaled_table() -> None:
    table(billing_mode="PROVISIONED")
    aws.appautoscaling.Target(
        "target",
        min_capacity=1,
        max_capacity=9,
        resource_id="table/t",
        scalable_dimension="dynamodb:table:ReadCapacityUnits",
        service_namespace="dynamodb",
    )


def cache(**changes: Any) -> None:
    shape: dict[str, Any] = {
        "transit_encryption_enabled": True,
        "at_rest_encryption_enabled": True,
        "kms_key_id": KEY,
        "user_group_ids": "features",
        "multi_az_enabled": True,
        "automatic_failover_enabled": True,
        "snapshot_retention_limit": 1,
    }
    aws.elasticache.ReplicationGroup("cache", description="features", **{**shape, **changes})


def kafka(
    *,
    key: Any = KEY,
    broker: str = "TLS",
    authentication: Any = None,
    public: str = "DISABLED",
    logs: bool = True,
) -> None:
    sink = {"cloudwatch_logs": {"enabled": logs, "log_group": "x"}}
    connectivity = {"public_access": {"type": public}}
    nodes: Any = {
        "instance_type": "kafka.m7g.large",
        "client_subnets": ["subnet"],
        "security_groups": ["group"],
        "connectivity_info": connectivity,
    }
    signing_in: Any = authentication or {"sasl": {"iam": True}}
    logging: Any = {"broker_logs": sink}
    aws.msk.Cluster(
        "kafka",
        kafka_version="3.9.x",
        number_of_broker_nodes=3,
        broker_node_group_info=nodes,
        encryption_info={
            "encryption_at_rest_kms_key_arn": key,
            "encryption_in_transit": {"client_broker": broker, "in_cluster": True},
        },
        client_authentication=signing_in,
        logging_info=logging,
    )


def stream(**changes: Any) -> None:
    shape: dict[str, Any] = {
        "encryption_type": "KMS",
        "kms_key_id": KEY,
        "retention_period": 48,
    }
    aws.kinesis.Stream("stream", **{**shape, **changes})


def delivery(**changes: Any) -> None:
    aws.kinesis.FirehoseDeliveryStream("delivery", destination="extended_s3", **changes)


def search(**changes: Any) -> None:
    shape: dict[str, Any] = {
        "vpc_options": {"subnet_ids": ["a", "b", "c"]},
        "encrypt_at_rest": {"enabled": True, "kms_key_id": KEY},
        "node_to_node_encryption": {"enabled": True},
        "domain_endpoint_options": {
            "enforce_https": True,
            "tls_security_policy": "Policy-Min-TLS-1-2-PFS-2023-10",
        },
        "advanced_security_options": {"enabled": True},
        "cluster_config": {"instance_count": 3, "zone_awareness_enabled": True},
    }
    aws.opensearch.Domain("search", **{**shape, **changes})


ENDPOINTS = ("ecr.api", "ecr.dkr", "logs", "s3", "sagemaker.api", "sagemaker.runtime", "sts")


def network(
    *,
    services: tuple[str, ...] = ENDPOINTS,
    without: tuple[str, ...] = (),
    more: Any = None,
    ingress: Any = None,
) -> None:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24")
    for service in services:
        name = f"com.amazonaws.us-east-1.{service}"
        aws.ec2.VpcEndpoint(service, vpc_id=vpc.id, service_name=name)
    if more:
        aws.ec2.VpcEndpoint("more", vpc_id=vpc.id, service_name=more)
    parts: dict[str, Program] = {
        "nat": lambda: aws.ec2.NatGateway("nat", subnet_id=subnet.id),
        "flow": lambda: aws.ec2.FlowLog("flow", vpc_id=vpc.id, traffic_type="ALL"),
        "default": lambda: aws.ec2.DefaultSecurityGroup("group", vpc_id=vpc.id, ingress=ingress),
    }
    for part, make in parts.items():
        if part not in without:
            make()


OPEN = [{"protocol": "-1", "from_port": 0, "to_port": 0, "self": True}]

DATA = [
    *quartet(
        "PF-RDS-001",
        database,
        wrong={
            "storage_encrypted": None,
            "kms_key_id": None,
            "publicly_accessible": True,
            "backup_retention_period": 1,
            "iam_database_authentication_enabled": False,
            "deletion_protection": None,
            "multi_az": None,
        },
        says="storageEncrypted must be true, got none; kmsKeyId must be a key of the account, "
        "got none; publiclyAccessible must not be true, got true; "
        "backupRetentionPeriod must be at least 7, "
        "got 1; iamDatabaseAuthenticationEnabled must be true, got false; deletionProtection must "
        "be true, got none; multiAz must be true",
        unknown="kms_key_id",
        path="kmsKeyId",
    ),
    Case(
        rule="PF-RDS-001",
        status="pass",
        program=partial(database, multi_az=None, deletion_protection=None),
        config=OUTSIDE,
    ),
    *quartet(
        "PF-DDB-001",
        table,
        wrong={
            "billing_mode": "PROVISIONED",
            "server_side_encryption": None,
            "point_in_time_recovery": None,
            "deletion_protection_enabled": None,
        },
        says="serverSideEncryption.enabled must be true, got none; serverSideEncryption.kmsKeyArn "
        "must be set, got none; pointInTimeRecovery.enabled must be true, got none; "
        "deletionProtectionEnabled must be true, got none; billingMode must be PAY_PER_REQUEST",
        unknown="billing_mode",
        path="billingMode",
    ),
    Case(rule="PF-DDB-001", status="pass", program=scaled_table),
    *quartet(
        "PF-EC-001",
        cache,
        wrong={
            "transit_encryption_enabled": False,
            "transit_encryption_mode": "preferred",
            "at_rest_encryption_enabled": None,
            "kms_key_id": None,
            "user_group_ids": None,
            "multi_az_enabled": None,
            "automatic_failover_enabled": None,
            "snapshot_retention_limit": 0,
        },
        says="transitEncryptionEnabled must be true, got false; transitEncryptionMode must be "
        "required, got preferred; atRestEncryptionEnabled must be true, got none; kmsKeyId must be "
        "set, got none; multiAzEnabled must be true, got none; automaticFailoverEnabled must be "
        "true, got none; snapshotRetentionLimit must be at least 1, got 0; userGroupIds or",
        unknown="kms_key_id",
        path="kmsKeyId",
    ),
    *quartet(
        "PF-MSK-001",
        kafka,
        wrong={
            "key": None,
            "broker": "TLS_PLAINTEXT",
            "authentication": {"unauthenticated": True},
            "public": "SERVICE_PROVIDED_EIPS",
            "logs": False,
        },
        says="clientBroker must be TLS, got TLS_PLAINTEXT; encryptionInfo."
        "encryptionAtRestKmsKeyArn must be set, got none; clientAuthentication.unauthenticated "
        "must not be true, got true; brokerNodeGroupInfo.connectivityInfo.publicAccess.type must "
        "be DISABLED, got SERVICE_PROVIDED_EIPS; clientAuthentication must have sasl or tls; "
        "loggingInfo.brokerLogs must be enabled",
        unknown="key",
        path="encryptionAtRestKmsKeyArn",
    ),
    *quartet(
        "PF-KIN-001",
        stream,
        wrong={"encryption_type": "NONE", "kms_key_id": None, "retention_period": None},
        says="encryptionType must be KMS, got NONE; kmsKeyId must be set, got none; "
        "retentionPeriod must be at least 48, got none",
        unknown="kms_key_id",
        path="kmsKeyId",
    ),
    Case(
        rule="PF-KIN-001",
        status="pass",
        program=partial(stream, retention_period=None),
        config=OUTSIDE,
    ),
    Case(
        rule="PF-KIN-001",
        status="fail",
        program=delivery,
        says="serverSideEncryption.enabled must be true, got none; serverSideEncryption.keyType "
        "must be CUSTOMER_MANAGED_CMK, got none; serverSideEncryption.keyArn must be set",
    ),
    Case(
        rule="PF-KIN-001",
        status="not_applicable",
        program=partial(
            delivery,
            kinesis_source_configuration={"kinesis_stream_arn": "stream", "role_arn": "role"},
        ),
        says="its source encrypts",
    ),
    *quartet(
        "PF-OS-001",
        search,
        wrong={
            "vpc_options": None,
            "encrypt_at_rest": None,
            "node_to_node_encryption": None,
            "domain_endpoint_options": None,
            "advanced_security_options": None,
            "cluster_config": None,
        },
        says="subnetIds must be set, got none; encryptAtRest.enabled must be true, got none; "
        "encryptAtRest.kmsKeyId must be set, got none; nodeToNodeEncryption.enabled must be true, "
        "got none; domainEndpointOptions.enforceHttps must be true, got none; "
        "domainEndpointOptions.tlsSecurityPolicy must be a policy of TLS 1.2 or later, got none; "
        "advancedSecurityOptions.enabled must be true, got none; clusterConfig.instanceCount must "
        "be at least 3, got none; clusterConfig.zoneAwarenessEnabled must be true",
        unknown="encrypt_at_rest",
        path="encryptAtRest",
    ),
    *quartet(
        "PF-VPC-001",
        network,
        wrong={"services": ("s3",), "without": ("flow", "default")},
        says="must have VpcEndpoints for ecr.api, ecr.dkr, logs, sagemaker.api, sagemaker.runtime, "
        "sts; must have a FlowLog, got none; must have a DefaultSecurityGroup",
        unknown="more",
        path="serviceName",
    ),
    Case(
        rule="PF-VPC-001",
        status="fail",
        program=partial(network, ingress=OPEN),
        says="the default security group must have no ingress",
    ),
    *quartet(
        "FO-008",
        network,
        wrong={"services": ("s3", "sts")},
        says="must have VpcEndpoints for ecr.api, ecr.dkr",
        unknown="more",
        path="serviceName",
    ),
    Case(
        rule="FO-008",
        status="not_applicable",
        program=partial(network, without=("nat",)),
        says="no NAT gateway",
    ),
]
