"""Operations whose action has another name, or that need more than one.

Everywhere else an operation is the action of the same name. Sources: S3 user guide, "Required
permissions for Amazon S3 API operations"; the Service Authorization Reference; DynamoDB developer
guide, "Transaction isolation ... IAM"; KMS developer guide, "Permissions reference".
"""

from __future__ import annotations

from collections.abc import Mapping

from stacks.local.aws.iam.asked import Asked

S3: Mapping[str, tuple[str, ...]] = {
    "CompleteMultipartUpload": ("PutObject",),
    "CopyObject": ("PutObject",),
    "CreateBucketMetadataConfiguration": ("CreateBucketMetadataTableConfiguration",),
    "CreateMultipartUpload": ("PutObject",),
    "DeleteBucketAnalyticsConfiguration": ("PutAnalyticsConfiguration",),
    "DeleteBucketCors": ("PutBucketCORS",),
    "DeleteBucketEncryption": ("PutEncryptionConfiguration",),
    "DeleteBucketIntelligentTieringConfiguration": ("PutIntelligentTieringConfiguration",),
    "DeleteBucketInventoryConfiguration": ("PutInventoryConfiguration",),
    "DeleteBucketLifecycle": ("PutLifecycleConfiguration",),
    "DeleteBucketMetricsConfiguration": ("PutMetricsConfiguration",),
    "DeleteBucketOwnershipControls": ("PutBucketOwnershipControls",),
    "DeleteBucketReplication": ("PutReplicationConfiguration",),
    "DeleteBucketTagging": ("PutBucketTagging",),
    "DeleteObjects": ("DeleteObject",),
    "DeletePublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "GetBucketAccelerateConfiguration": ("GetAccelerateConfiguration",),
    "GetBucketAnalyticsConfiguration": ("GetAnalyticsConfiguration",),
    "GetBucketEncryption": ("GetEncryptionConfiguration",),
    "GetBucketIntelligentTieringConfiguration": ("GetIntelligentTieringConfiguration",),
    "GetBucketInventoryConfiguration": ("GetInventoryConfiguration",),
    "GetBucketLifecycle": ("GetLifecycleConfiguration",),
    "GetBucketLifecycleConfiguration": ("GetLifecycleConfiguration",),
    "GetBucketMetricsConfiguration": ("GetMetricsConfiguration",),
    "GetBucketNotificationConfiguration": ("GetBucketNotification",),
    "GetBucketReplication": ("GetReplicationConfiguration",),
    "GetObjectLockConfiguration": ("GetBucketObjectLockConfiguration",),
    "GetPublicAccessBlock": ("GetBucketPublicAccessBlock",),
    "HeadBucket": ("ListBucket",),
    "HeadObject": ("GetObject",),
    "ListBucketAnalyticsConfigurations": ("GetAnalyticsConfiguration",),
    "ListBucketIntelligentTieringConfigurations": ("GetIntelligentTieringConfiguration",),
    "ListBucketInventoryConfigurations": ("GetInventoryConfiguration",),
    "ListBucketMetricsConfigurations": ("GetMetricsConfiguration",),
    "ListBuckets": ("ListAllMyBuckets",),
    "ListMultipartUploads": ("ListBucketMultipartUploads",),
    "ListObjectVersions": ("ListBucketVersions",),
    "ListObjects": ("ListBucket",),
    "ListObjectsV2": ("ListBucket",),
    "ListParts": ("ListMultipartUploadParts",),
    "PutBucketAccelerateConfiguration": ("PutAccelerateConfiguration",),
    "PutBucketAnalyticsConfiguration": ("PutAnalyticsConfiguration",),
    "PutBucketEncryption": ("PutEncryptionConfiguration",),
    "PutBucketIntelligentTieringConfiguration": ("PutIntelligentTieringConfiguration",),
    "PutBucketInventoryConfiguration": ("PutInventoryConfiguration",),
    "PutBucketLifecycle": ("PutLifecycleConfiguration",),
    "PutBucketLifecycleConfiguration": ("PutLifecycleConfiguration",),
    "PutBucketMetricsConfiguration": ("PutMetricsConfiguration",),
    "PutBucketNotificationConfiguration": ("PutBucketNotification",),
    "PutBucketReplication": ("PutReplicationConfiguration",),
    "PutObjectLockConfiguration": ("PutBucketObjectLockConfiguration",),
    "PutPublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "SelectObjectContent": ("GetObject",),
    "UploadPart": ("PutObject",),
    "UploadPartCopy": ("PutObject",),
}

OF_VERSIONS = frozenset(
    ("GetObject", "DeleteObject", "GetObjectAcl", "PutObjectAcl", "GetObjectTagging",
     "PutObjectTagging", "DeleteObjectTagging", "GetObjectAttributes")
)  # fmt: skip
"""Actions with a second one, `...Version...`, for requests that name a version."""

OTHERS: Mapping[str, tuple[str, ...]] = {
    "dynamodb:TransactGetItems": ("dynamodb:GetItem",),
    "kms:ReEncrypt": ("kms:ReEncryptFrom", "kms:ReEncryptTo"),
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "lambda:InvokeWithResponseStream": ("lambda:InvokeFunction",),
    "lambda:GetLayerVersionByArn": ("lambda:GetLayerVersion",),
    "sns:PublishBatch": ("sns:Publish",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
    **{
        f"budgets:{verb}{what}": (f"budgets:{'View' if verb == 'Describe' else 'Modify'}Budget",)
        for verb in ("Create", "Delete", "Update", "Describe")
        for what in ("Budget", "Notification", "Subscriber")
    },
    "budgets:DescribeBudgets": ("budgets:ViewBudget",),
    "budgets:DescribeNotificationsForBudget": ("budgets:ViewBudget",),
    "budgets:DescribeSubscribersForNotification": ("budgets:ViewBudget",),
}

FREE = frozenset(("sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetAccessKeyInfo"))
"""What everybody may who signs (STS API reference: "no permissions are required")."""

IN_TRANSACTIONS: Mapping[str, str] = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def actions(asked: Asked) -> tuple[str, ...]:
    """The actions that an operation needs on its own resource; none: everybody may."""
    own = f"{asked.prefix}:{asked.operation}"
    if own in FREE:
        return ()
    if asked.prefix == "s3":
        return tuple(f"s3:{name}" for name in _of_s3(asked))
    if own == "dynamodb:TransactWriteItems":
        return tuple(sorted({f"dynamodb:{name}" for name in _writes(asked)}))
    return OTHERS.get(own, (own,))


def _of_s3(asked: Asked) -> tuple[str, ...]:
    given = asked.parameters
    names = S3.get(asked.operation, (asked.operation,))
    if given.get("VersionId"):
        names = tuple(_versioned(name) for name in names)
    if asked.operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        names += ("PutObjectTagging",) if given.get("Tagging") else ()
        names += ("PutObjectAcl",) if given.get("ACL") else ()
    return names


def _versioned(name: str) -> str:
    if name not in OF_VERSIONS:
        return name
    head, rest = name[: name.index("Object") + len("Object")], name.partition("Object")[2]
    return f"{head}Version{rest}"


def _writes(asked: Asked) -> list[str]:
    items = asked.parameters.get("TransactItems") or []
    return [name for item in items for kind, name in IN_TRANSACTIONS.items() if kind in item]
