"""Feature groups."""

from policies.data import Resource, Unknown
from policies.reading.endpoints import ALARM, acts, matching, metrics
from policies.reading.predicates import SET, at_most, meets
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

FEATURE_GROUP = "aws:sagemaker/featureGroup:FeatureGroup"
TRAINERS = ("aws:sagemaker/trainingJob:TrainingJob", "aws:sagemaker/pipeline:Pipeline")

DATA_CLASS = "data_class"
PERSONAL = "personal"
"""Value of the tag for records about persons."""


@rule(
    "ML-FS-001",
    applies_to=FEATURE_GROUP,
    severity="medium",
    fix="set offline_store_config.s3_storage_config.kms_key_id",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-security.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_offline_store_key(resource: Resource, scope: Scope) -> Result:
    """The offline store of a feature group is encrypted with a KMS key; any key will do.

    Security Hub's SageMaker.17 accepts every KMS key, so whose key it is is not asked here.
    """
    del scope
    if not resource.inputs.has("offlineStoreConfig"):
        return NotApplicable("the feature group has no offline store")
    if resource.inputs.has("offlineStoreConfig", "s3StorageConfig", "kmsKeyId"):
        return None
    return Fail("offlineStoreConfig.s3StorageConfig.kmsKeyId must be set, got none")


@rule(
    "ML-FS-003",
    applies_to=FEATURE_GROUP,
    severity="high",
    fix="create the feature group with ResourceOptions(protect=True)",
    url="https://www.pulumi.com/docs/iac/concepts/resources/options/protect/",
    themes=Theme.AVAILABILITY,
)
def require_protected_feature_group(resource: Resource, scope: Scope) -> Result:
    """Production feature groups are protected from deletion and replacement.

    A replaced feature group loses its online records and the link to its offline data.
    """
    if not scope.config.production:
        return NotApplicable("only production feature groups hold what cannot be made again")
    return None if resource.options.protect else Fail("protect must be true, got false")


@rule(
    "ML-FS-002",
    applies_to=FEATURE_GROUP,
    severity="medium",
    fix="set online_store_config.security_config.kms_key_id",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-security.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_online_store_key(resource: Resource, scope: Scope) -> Result:
    """The standard online store of a feature group is encrypted with a KMS key; any key will do.

    Security Hub's SageMaker.18 accepts every KMS key and asks about standard storage.
    """
    del scope
    if reason := _not_online(resource):
        return NotApplicable(reason)
    if resource.inputs.get("onlineStoreConfig", "storageType") == "InMemory":
        return NotApplicable("the online store is in memory")
    return meets(resource.inputs, {"onlineStoreConfig.securityConfig.kmsKeyId": SET})


def _not_online(group: Resource) -> str:
    online = group.inputs.has("onlineStoreConfig")
    if online and group.inputs.get("onlineStoreConfig", "enableOnlineStore") is not False:
        return ""
    return "the feature group has no online store"


@rule(
    "ML-FS-004",
    applies_to=FEATURE_GROUP,
    severity="medium",
    fix="set online_store_config.ttl_duration",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-time-to-live.html",
    themes=Theme.RETENTION,
)
def require_personal_data_expiry(resource: Resource, scope: Scope) -> Result:
    """Online records about persons are deleted after a time that somebody chose.

    The tag `data_class` says whether they are about persons.
    """
    del scope
    if resource.tag(DATA_CLASS) != PERSONAL:
        return NotApplicable("the records are not about persons")
    if reason := _not_online(resource):
        return NotApplicable(reason)
    return meets(resource.inputs, {"onlineStoreConfig.ttlDuration.value": SET})


@rule(
    "ML-FS-005",
    applies_to=FEATURE_GROUP,
    kind="stack",
    severity="low",
    mandatory="never",
    fix="leave throughput_config out, or alarm on the group's consumption and stay below\n"
    "feature_capacity_units_max; tag what is in memory with storage_reason",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-throughput-mode.html",
    themes=Theme.LIMITS,
)
def limit_feature_capacity(resource: Resource, scope: Scope) -> Result:
    """Provisioned capacity is bounded and watched, and a store in memory says why it must be.

    Both cost by the hour, whether anybody asks or not; on demand costs by the request.
    """
    outputs = resource.outputs
    in_memory = outputs.get("onlineStoreConfig", "storageType") == "InMemory"
    if in_memory and not resource.tag("storage_reason"):
        return Fail("a store in memory must have the tag 'storage_reason', got none")
    if outputs.get("throughputConfig", "throughputMode") != "Provisioned":
        return None if in_memory else NotApplicable("capacity is on demand")
    most = at_most(scope.config.feature_capacity_units_max)
    keys = ("provisionedReadCapacityUnits", "provisionedWriteCapacityUnits")
    if too_much := meets(outputs, {f"throughputConfig.{key}": most for key in keys}):
        return too_much
    name = outputs.get("featureGroupName")
    return _consumption_is_watched(str(name), scope)


def _consumption_is_watched(group: str, scope: Scope) -> Result:
    def watches(alarm: Resource) -> bool:
        names = [each.get("dimensions", "FeatureGroupName") for each in metrics(alarm)]
        return group in names and acts(alarm)

    if matching(scope.of_type(ALARM), watches):
        return None
    return Fail(f"an alarm with actions must watch the feature group {group}, got none")


@rule(
    "ML-FS-006",
    applies_to=FEATURE_GROUP,
    kind="stack",
    severity="low",
    mandatory="never",
    fix="tag the feature group with owner and data_class, and give it a role of its own",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-security.html",
    themes=Theme.INVENTORY | Theme.LEAST_PRIVILEGE,
)
def require_owned_feature_group(resource: Resource, scope: Scope) -> Result:
    """A feature group says whose it is and what it holds, and its role is not that of training.

    Who trains reads features and does not write where everybody reads.
    """

    def has_tag(name: str) -> Result:
        return None if resource.tag(name) else Fail(f"tag {name!r} must be set, got none")

    return every(("owner", DATA_CLASS), has_tag) or _has_own_role(resource, scope)


def _has_own_role(group: Resource, scope: Scope) -> Result:
    role = _role(group)
    for trainer in scope.of_type(*TRAINERS):
        if role & _role(trainer):
            return Fail(f"roleArn must not be the role of {trainer.name}")
    return None


def _role(resource: Resource) -> set[str]:
    """A role by its ARN or, where that is not known yet, by the resource that makes it."""
    try:
        return {str(resource.outputs.get("roleArn"))}
    except Unknown:
        if urns := resource.dependencies.get("roleArn", ()):
            return set(urns)
        raise
