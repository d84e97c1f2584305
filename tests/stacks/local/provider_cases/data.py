"""Cases of what fills the feature store: streams, functions, tables, caches, engines."""

from typing import Any

from tests.stacks.local.provider_cases.case import (
    GROUP,
    KEY,
    RETAGGED,
    ROLE,
    SUBNET,
    TAGS,
    Case,
    Ref,
)

STREAM = "aws:kinesis/stream:Stream"
FUNCTION = "aws:lambda/function:Function"
QUEUE = "aws:sqs/queue:Queue"

ASSET = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17"}
ARCHIVE = {"4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7"}
"""How the engine marks what is an asset or an archive."""


def code(text: str) -> dict[str, Any]:
    """An archive of one module, as it reaches a provider."""
    asset = {**ASSET, "hash": f"hash of {text}", "text": text}
    return {**ARCHIVE, "hash": f"hash of all of {text}", "assets": {"main.py": asset}}


CONFIGURATION = "aws:msk/configuration:Configuration"

USER = "aws:elasticache/user:User"
USERS = "aws:elasticache/userGroup:UserGroup"
SUBNETS = "aws:elasticache/subnetGroup:SubnetGroup"

CACHES: dict[str, Case] = {
    "aws:elasticache/replicationGroup:ReplicationGroup": Case(
        inputs={
            "replicationGroupId": "plinth-feast",
            "description": "Online store",
            "engine": "valkey",
            "engineVersion": "8.0",
            "nodeType": "cache.r7g.large",
            "numCacheClusters": 2,
            "automaticFailoverEnabled": True,
            "multiAzEnabled": True,
            "port": 6379,
            "subnetGroupName": Ref(SUBNETS, "name"),
            "securityGroupIds": [Ref(GROUP)],
            "userGroupIds": [Ref(USERS, "userGroupId")],
            "transitEncryptionEnabled": True,
            "transitEncryptionMode": "required",
            "atRestEncryptionEnabled": True,
            "kmsKeyId": Ref(KEY, "arn"),
            "snapshotRetentionLimit": 7,
            "tags": TAGS,
        },
        change={"nodeType": "cache.r7g.xlarge", "numCacheClusters": 3, "tags": RETAGGED},
    ),
    SUBNETS: Case(
        inputs={
            "name": "plinth-feast",
            "description": "Online store",
            "subnetIds": [Ref(SUBNET)],
            "tags": TAGS,
        },
        change={"description": "Cache", "tags": RETAGGED},
    ),
    USER: Case(
        inputs={
            "userId": "plinth-feast",
            "userName": "plinth-feast",
            "engine": "valkey",
            "accessString": "on ~* +@all",
            "authenticationMode": {"type": "iam"},
            "tags": TAGS,
        },
        change={"accessString": "on ~* +@read", "tags": RETAGGED},
    ),
    USERS: Case(
        inputs={
            "userGroupId": "plinth-feast",
            "engine": "valkey",
            "userIds": [Ref(USER, "userId")],
            "tags": TAGS,
        },
        change={"userIds": [Ref(USER, "userId"), "other"], "tags": RETAGGED},
    ),
}

ENGINES: dict[str, Case] = {
    "aws:emrserverless/application:Application": Case(
        inputs={
            "name": "plinth-spark",
            "type": "spark",
            "releaseLabel": "emr-7.9.0",
            "architecture": "ARM64",
            "maximumCapacity": {"cpu": "64 vCPU", "memory": "256 GB", "disk": "1000 GB"},
            "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 5},
            "networkConfiguration": {"subnetIds": [Ref(SUBNET)], "securityGroupIds": [Ref(GROUP)]},
            "monitoringConfiguration": {
                "managedPersistenceMonitoringConfiguration": {"enabled": False},
                "s3MonitoringConfiguration": {
                    "logUri": "s3://plinth-test-data/spark/",
                    "encryptionKeyArn": Ref(KEY, "arn"),
                },
            },
            "runtimeConfigurations": [
                {"classification": "spark-defaults", "properties": {"spark.a": "b"}}
            ],
            "tags": TAGS,
        },
        change={
            "maximumCapacity": {"cpu": "32 vCPU", "memory": "128 GB", "disk": "1000 GB"},
            "tags": RETAGGED,
        },
    ),
    "aws:glue/catalogDatabase:CatalogDatabase": Case(
        inputs={
            "name": "plinth_spark",
            "description": "Tables",
            "locationUri": "s3://plinth-test-data/spark/",
            "tags": TAGS,
        },
        change={"description": "Other tables", "tags": RETAGGED},
    ),
    "aws:msk/cluster:Cluster": Case(
        inputs={
            "clusterName": "plinth-kafka",
            "kafkaVersion": "3.8.x",
            "numberOfBrokerNodes": 3,
            "brokerNodeGroupInfo": {
                "clientSubnets": [Ref(SUBNET)],
                "securityGroups": [Ref(GROUP)],
                "instanceType": "kafka.m7g.large",
                "storageInfo": {"ebsStorageInfo": {"volumeSize": 100}},
            },
            "clientAuthentication": {"sasl": {"iam": True}, "unauthenticated": False},
            "encryptionInfo": {
                "encryptionAtRestKmsKeyArn": Ref(KEY, "arn"),
                "encryptionInTransit": {"clientBroker": "TLS", "inCluster": True},
            },
            "configurationInfo": {"arn": Ref(CONFIGURATION, "arn"), "revision": 1},
            "enhancedMonitoring": "PER_BROKER",
            "loggingInfo": {
                "brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "/plinth/kafka"}}
            },
            "tags": TAGS,
        },
        change={"numberOfBrokerNodes": 6, "kafkaVersion": "3.9.x", "tags": RETAGGED},
    ),
    CONFIGURATION: Case(
        inputs={
            "name": "plinth-kafka",
            "description": "Brokers",
            "kafkaVersions": ["3.8.x"],
            "serverProperties": "auto.create.topics.enable=false\n",
        },
        change={"serverProperties": "auto.create.topics.enable=true\n"},
    ),
    "aws:msk/serverlessCluster:ServerlessCluster": Case(
        inputs={
            "clusterName": "plinth-serverless",
            "vpcConfigs": [{"subnetIds": [Ref(SUBNET)], "securityGroupIds": [Ref(GROUP)]}],
            "clientAuthentication": {"sasl": {"iam": {"enabled": True}}},
            "tags": TAGS,
        },
        change={"clusterName": "plinth-other"},
        replaces=True,
    ),
}

CASES: dict[str, Case] = {
    **CACHES,
    **ENGINES,
    STREAM: Case(
        inputs={
            "name": "plinth-events",
            "streamModeDetails": {"streamMode": "ON_DEMAND"},
            "retentionPeriod": 48,
            "encryptionType": "KMS",
            "kmsKeyId": Ref(KEY, "arn"),
            "tags": TAGS,
        },
        change={"retentionPeriod": 24, "tags": RETAGGED},
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Case(
        inputs={
            "eventSourceArn": Ref(STREAM, "arn"),
            "functionName": Ref(FUNCTION, "arn"),
            "startingPosition": "TRIM_HORIZON",
            "batchSize": 10,
            "maximumBatchingWindowInSeconds": 1,
            "maximumRetryAttempts": 3,
            "bisectBatchOnFunctionError": True,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "destinationConfig": {"onFailure": {"destinationArn": Ref(QUEUE, "arn")}},
            "tags": TAGS,
        },
        change={"batchSize": 20, "enabled": False, "tags": RETAGGED},
        after=("aws:iam/rolePolicy:RolePolicy",),
    ),
    FUNCTION: Case(
        inputs={
            "name": "plinth-ingest",
            "role": Ref(ROLE, "arn"),
            "runtime": "python3.13",
            "architectures": ["arm64"],
            "handler": "main.handler",
            "code": code("def handler(event, context): return 1"),
            "memorySize": 256,
            "timeout": 60,
            "environment": {"variables": {"a": "b"}},
            "reservedConcurrentExecutions": 5,
            "kmsKeyArn": Ref(KEY, "arn"),
            "tags": TAGS,
        },
        change={
            "code": code("def handler(event, context): return 2"),
            "timeout": 30,
            "environment": {"variables": {"a": "c"}},
            "tags": RETAGGED,
        },
        drop=("reservedConcurrentExecutions",),
    ),
}
