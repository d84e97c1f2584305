"""Databases, caches, streams and search that features and trackers stand on."""

from policies.data import Data, Resource
from policies.reading.predicates import OFF, ON, OWN_KEY, SET, Must, at_least, meets, one_of
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")
TABLE = "aws:dynamodb/table:Table"
SCALED = "aws:appautoscaling/target:Target"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
KAFKA = "aws:msk/cluster:Cluster"
STREAM = "aws:kinesis/stream:Stream"
FIREHOSE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
SEARCH = "aws:opensearch/domain:Domain"


@rule(
    "PF-RDS-001",
    applies_to=DATABASES,
    severity="high",
    fix="set storageEncrypted, kmsKeyId, backupRetentionPeriod of 7 or more and\n"
    "iamDatabaseAuthenticationEnabled; in production multiAz and deletionProtection",
    url="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_BestPractices.Security.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.NETWORK_ISOLATION | Theme.AVAILABILITY,
)
def require_governed_database(resource: Resource, scope: Scope) -> Result:
    """A database is encrypted, private and backed up, and knows people by their roles.

    In production it stands in two zones and cannot be deleted. A cluster always stands in several.
    RDS asks for TLS in the parameter group, which its family's defaults do since PostgreSQL 15.
    """
    wanted = {
        "storageEncrypted": ON,
        "kmsKeyId": OWN_KEY,
        "publiclyAccessible": OFF,
        "backupRetentionPeriod": at_least(7),
        "iamDatabaseAuthenticationEnabled": ON,
    }
    if scope.config.production:
        wanted["deletionProtection"] = ON
        if resource.type == DATABASES[0]:
            wanted["multiAz"] = ON
    return meets(resource.inputs, wanted)


@rule(
    "PF-DDB-001",
    applies_to=TABLE,
    kind="stack",
    severity="medium",
    fix="set serverSideEncryption with a key, PAY_PER_REQUEST or an autoscaling target;\n"
    "in production pointInTimeRecovery and deletionProtectionEnabled",
    url="https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/best-practices-security-preventative.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.AVAILABILITY | Theme.LIMITS,
)
def require_governed_table(resource: Resource, scope: Scope) -> Result:
    """A table has a key of the account and grows by itself.

    In production it can be restored to any second of the last days, and cannot be deleted.
    """
    wanted = {"serverSideEncryption.enabled": ON, "serverSideEncryption.kmsKeyArn": SET}
    if scope.config.production:
        wanted |= {"pointInTimeRecovery.enabled": ON, "deletionProtectionEnabled": ON}

    def grows(table: Data) -> Result:
        if table.get("billingMode") == "PAY_PER_REQUEST":
            return None
        name = f"table/{table.get('name')}"
        scaled = any(each.outputs.get("resourceId") == name for each in scope.of_type(SCALED))
        return None if scaled else Fail("billingMode must be PAY_PER_REQUEST, or the table scaled")

    checks = (lambda data: meets(data, wanted), grows)
    return every(checks, lambda check: check(resource.outputs))


@rule(
    "PF-EC-001",
    applies_to=CACHE,
    severity="high",
    fix="set transitEncryptionEnabled, atRestEncryptionEnabled with kmsKeyId, and authToken or\n"
    "userGroupIds; in production multiAzEnabled, automaticFailoverEnabled and snapshots",
    url="https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/encryption.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.ENCRYPTION_IN_TRANSIT | Theme.AVAILABILITY,
)
def require_governed_cache(resource: Resource, scope: Scope) -> Result:
    """An online store in a cache is encrypted on both ways and asks who is there.

    In production it survives the loss of a zone and keeps snapshots: to fill it again from the
    offline store takes longer than any prediction can wait.
    """
    wanted = {
        "transitEncryptionEnabled": ON,
        "transitEncryptionMode": one_of("required", None),
        "atRestEncryptionEnabled": ON,
        "kmsKeyId": SET,
    }
    if scope.config.production:
        wanted |= {
            "multiAzEnabled": ON,
            "automaticFailoverEnabled": ON,
            "snapshotRetentionLimit": at_least(1),
        }

    def authenticated(cache: Data) -> Result:
        asked = cache.has("userGroupIds") or cache.has("authToken") or cache.has("authTokenWo")
        return None if asked else Fail("userGroupIds or authToken must be set")

    checks = (lambda data: meets(data, wanted), authenticated)
    return every(checks, lambda check: check(resource.inputs))


@rule(
    "PF-MSK-001",
    applies_to=KAFKA,
    severity="high",
    fix="set clientBroker to TLS with a key at rest, clientAuthentication without\n"
    "unauthenticated, publicAccess DISABLED and brokerLogs (infra/kafka.py does)",
    url="https://docs.aws.amazon.com/msk/latest/developerguide/msk-encryption.html",
    themes=Theme.ENCRYPTION_IN_TRANSIT | Theme.NETWORK_ISOLATION | Theme.AUDIT_LOGS,
)
def require_governed_kafka(resource: Resource, scope: Scope) -> Result:
    """A Kafka cluster speaks TLS alone, asks who is there, is private, encrypted and logs.

    MSK lets everybody in its network write where a program says nothing.
    """
    private = "brokerNodeGroupInfo.connectivityInfo.publicAccess.type"
    wanted = {
        "encryptionInfo.encryptionInTransit.clientBroker": one_of("TLS", None),
        "encryptionInfo.encryptionInTransit.inCluster": one_of(True, None),
        "encryptionInfo.encryptionAtRestKmsKeyArn": SET,
        "clientAuthentication.unauthenticated": OFF,
        private: one_of("DISABLED", None),
    }

    def authenticated(cluster: Data) -> Result:
        kinds = ("sasl", "tls")
        asked = any(cluster.get("clientAuthentication", kind) for kind in kinds)
        return None if asked else Fail("clientAuthentication must have sasl or tls")

    def logged(cluster: Data) -> Result:
        brokers = cluster.get("loggingInfo", "brokerLogs") or {}
        kept = any(sink.get("enabled") for sink in brokers.values())
        return None if kept else Fail("loggingInfo.brokerLogs must be enabled")

    checks = (lambda data: meets(data, wanted), authenticated, logged)
    return every(checks, lambda check: check(resource.inputs))


@rule(
    "PF-KIN-001",
    applies_to=(STREAM, FIREHOSE),
    severity="medium",
    fix="set encryptionType KMS with kmsKeyId, and a retentionPeriod of 24 hours or more;\n"
    "for Firehose set serverSideEncryption with a key of the account",
    url="https://docs.aws.amazon.com/streams/latest/dev/server-side-encryption.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_governed_stream(resource: Resource, scope: Scope) -> Result:
    """A stream is encrypted with a key of the account; in production it keeps what comes two days.

    A consumer that fails on a Friday evening loses nothing before somebody looks. A delivery
    stream that reads another stream has the encryption of its source.
    """
    inputs = resource.inputs
    if resource.type == FIREHOSE:
        if inputs.has("kinesisSourceConfiguration") or inputs.has("mskSourceConfiguration"):
            return NotApplicable("its source encrypts")
        encryption = "serverSideEncryption"
        return meets(
            inputs,
            {
                f"{encryption}.enabled": ON,
                f"{encryption}.keyType": one_of("CUSTOMER_MANAGED_CMK"),
                f"{encryption}.keyArn": SET,
            },
        )
    hours = 48 if scope.config.production else 24
    kept = Must(f"must be at least {hours}", lambda value: (value or 24) >= hours)
    wanted = {"encryptionType": one_of("KMS"), "kmsKeyId": SET, "retentionPeriod": kept}
    return meets(inputs, wanted)


@rule(
    "PF-OS-001",
    applies_to=SEARCH,
    severity="high",
    fix="set vpcOptions, encryptAtRest with a key, nodeToNodeEncryption, enforceHttps with TLS\n"
    "1.2 and advancedSecurityOptions; in production three nodes in three zones",
    url="https://docs.aws.amazon.com/opensearch-service/latest/developerguide/security.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.ENCRYPTION_IN_TRANSIT | Theme.NETWORK_ISOLATION,
)
def require_governed_search(resource: Resource, scope: Scope) -> Result:
    """A search or vector store is private, encrypted everywhere, and says who may see what.

    Vectors give away the texts that they were made of. In production it survives a zone.
    """
    tls = Must(
        "must be a policy of TLS 1.2 or later",
        lambda value: "TLS-1-2" in str(value) or "TLS-1-3" in str(value),
    )
    wanted = {
        "vpcOptions.subnetIds": SET,
        "encryptAtRest.enabled": ON,
        "encryptAtRest.kmsKeyId": SET,
        "nodeToNodeEncryption.enabled": ON,
        "domainEndpointOptions.enforceHttps": ON,
        "domainEndpointOptions.tlsSecurityPolicy": tls,
        "advancedSecurityOptions.enabled": ON,
    }
    if scope.config.production:
        wanted |= {
            "clusterConfig.instanceCount": at_least(3),
            "clusterConfig.zoneAwarenessEnabled": ON,
        }
    return meets(resource.inputs, wanted)
