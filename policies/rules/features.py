"""Feature groups."""

from policies.data import Resource
from policies.rule import Fail, NotApplicable, Result, Scope, rule

FEATURE_GROUP = "aws:sagemaker/featureGroup:FeatureGroup"


@rule(
    "ML-FS-001",
    applies_to=FEATURE_GROUP,
    severity="medium",
    fix="set offline_store_config.s3_storage_config.kms_key_id",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-security.html",
    themes="E",
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
    themes="H",
)
def require_protected_feature_group(resource: Resource, scope: Scope) -> Result:
    """Production feature groups are protected from deletion and replacement.

    A replaced feature group loses its online records and the link to its offline data.
    """
    if not scope.config.production:
        return NotApplicable("only production feature groups hold what cannot be made again")
    return None if resource.options.protect else Fail("protect must be true, got false")
