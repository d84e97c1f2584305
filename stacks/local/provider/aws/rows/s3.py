"""Buckets, what is set on them, and objects."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stacks.local.provider.aws.row import ALL, Call, HookContext, Missing, Row, Tags, named, parts

NO_BUCKET = (Missing("NoSuchBucket"), Missing("404"))
NOTHING: Mapping[str, str] = {}

OBJECT = (
    "acl",
    "bucket",
    "bucketKeyEnabled",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "key",
    "kmsKeyId",
    "metadata",
    "serverSideEncryption",
    "storageClass",
    "websiteRedirect",
)
"""What PutObject carries beside the bytes."""

BYTES = ("content", "contentBase64", "source", "sourceHash")


def empty(scene: HookContext) -> None:
    """Delete every version of every object when the program allows it.

    Each listing starts anew: one that goes on behind what was deleted ends too early. What is
    locked stays, and the deletion of the bucket says so.
    """
    if not scene.old.get("forceDestroy") or scene.describe() is None:
        return
    while True:
        page = scene.client.list_object_versions(Bucket=scene.id)
        held = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in held]
        if not objects:
            return
        answer = scene.client.delete_objects(Bucket=scene.id, Delete={"Objects": objects})
        if answer.get("Errors"):
            return


def delete_versions(scene: HookContext) -> None:
    """Delete every version of one object: a delete marker would keep the bucket from going."""
    if scene.describe() is None:
        return
    bucket, key = scene.old["bucket"], scene.old["key"]
    pages = scene.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if item["Key"] == key:
                version = item["VersionId"]
                scene.client.delete_object(Bucket=bucket, Key=key, VersionId=version)


def body(scene: HookContext) -> Mapping[str, Any]:
    """The bytes of an object: text, base64, or the asset the program names."""
    new = scene.new
    if "contentBase64" in new:
        return {"Body": base64.b64decode(new["contentBase64"])}
    source = new.get("source") or {}
    if "path" in source:
        return {"Body": Path(source["path"]).read_bytes()}
    return {"Body": (source.get("text") or new.get("content") or "").encode()}


def setting(
    kind: str,
    *,
    put: str,
    read: Call,
    delete: Call,
    rename: Mapping[str, str] = NOTHING,
    absent: Sequence[str] = (),
    omits: Sequence[str] = (),
    fidelity: str = "behaves: moto keeps it and answers it back",
    **more: Any,
) -> Row:
    """A row for one aspect of a bucket: put as a whole, named by the bucket."""
    return Row(
        token=f"aws:s3/b{kind[1:]}:{kind}",
        service="s3",
        cfn="",  # there, a property of the bucket
        create=Call(put, omits=omits),
        read=read,
        update=(Call(put, ALL),),
        delete=delete,
        identity=named("bucket"),
        rename=rename,
        replace_on=("bucket",),
        missing=(*NO_BUCKET, *(Missing(code) for code in absent)),
        fidelity=fidelity,
        **more,
    )


ROWS = (
    Row(
        token="aws:s3/bucket:Bucket",
        service="s3",
        cfn="AWS::S3::Bucket",
        create=Call("CreateBucket", ("bucket", "objectLockEnabled")),
        read=Call("HeadBucket"),
        also=(
            Call("GetBucketTagging", absent=("NoSuchTagSet",)),
            Call(
                "GetObjectLockConfiguration",
                absent=("ObjectLockConfigurationNotFoundError",),
            ),
        ),
        delete=Call("DeleteBucket"),
        before_delete=empty,
        refilled="BucketNotEmpty",
        identity=named("bucket"),
        rename={"objectLockEnabled": "ObjectLockEnabledForBucket"},
        reads={
            "objectLockEnabled": "ObjectLockConfiguration.ObjectLockEnabled == 'Enabled'",
        },
        provider_only=("forceDestroy",),
        autoname="bucket",
        defaults={"objectLockEnabled": False},
        replace_on=("bucket", "objectLockEnabled"),
        refuses=(
            "accelerationStatus",
            "acl",
            "bucketNamespace",
            "bucketPrefix",
            "corsRules",
            "grants",
            "lifecycleRules",
            "logging",
            "objectLockConfiguration",
            "policy",
            "replicationConfiguration",
            "requestPayer",
            "serverSideEncryptionConfiguration",
            "versioning",
            "website",
        ),
        outputs={
            "arn": "arn:aws:s3:::{id}",
            "bucket": "{id}",
            "bucketDomainName": "{id}.s3.amazonaws.com",
            "bucketRegion": "{region}",
            "bucketRegionalDomainName": "{id}.s3.{region}.amazonaws.com",
        },
        tags=Tags(
            create="",
            add="PutBucketTagging",
            remove="DeleteBucketTagging",
            member="Tagging.TagSet",
            key={"Bucket": "{id}"},
            whole=True,
            path="TagSet",
        ),
        missing=NO_BUCKET,
        fidelity="behaves: objects, versions and tags are kept; IAM decides",
    ),
    setting(
        "BucketLifecycleConfiguration",
        put="PutBucketLifecycleConfiguration",
        read=Call("GetBucketLifecycleConfiguration", into="LifecycleConfiguration"),
        delete=Call("DeleteBucketLifecycle"),
        rename={"rules": "LifecycleConfiguration.Rules"},
        provider_only=("timeouts",),
        refuses=("expectedBucketOwner", "transitionDefaultMinimumObjectSize"),
        absent=("NoSuchLifecycleConfiguration",),
        fidelity="recorded by moto: no object expires",
    ),
    setting(
        "BucketLogging",
        put="PutBucketLogging",
        read=Call(
            "GetBucketLogging", result="[@][?LoggingEnabled] | [0]", into="BucketLoggingStatus"
        ),
        delete=Call("PutBucketLogging", fixed={"BucketLoggingStatus": {}}),
        rename={
            "targetBucket": "BucketLoggingStatus.LoggingEnabled.TargetBucket",
            "targetPrefix": "BucketLoggingStatus.LoggingEnabled.TargetPrefix",
        },
        refuses=("expectedBucketOwner", "targetGrants", "targetObjectKeyFormat"),
        fidelity="behaves: moto writes each request at once, as an object of its own",
    ),
    setting(
        "BucketObjectLockConfiguration",
        put="PutObjectLockConfiguration",
        read=Call("GetObjectLockConfiguration", result="ObjectLockConfiguration.Rule && @"),
        # S3 has no call that takes it away; without a rule, new objects are not locked
        delete=Call(
            "PutObjectLockConfiguration",
            fixed={"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
        ),
        rename={
            "objectLockEnabled": "ObjectLockConfiguration.ObjectLockEnabled",
            "rule": "ObjectLockConfiguration.Rule",
        },
        defaults={"objectLockEnabled": "Enabled"},
        omits=("requestPayer",),
        computed=("rule.defaultRetention.days", "rule.defaultRetention.years"),
        refuses=("expectedBucketOwner", "token"),
        absent=("ObjectLockConfigurationNotFoundError",),
        fidelity="recorded by moto: locked versions can still be deleted",
    ),
    Row(
        token="aws:s3/bucketObjectv2:BucketObjectv2",
        service="s3",
        cfn="",
        create=Call("PutObject", OBJECT, build=body),
        read=Call("HeadObject"),
        also=(Call("GetObjectTagging", absent=("NoSuchTagSet",)),),
        update=(Call("PutObject", (*OBJECT, *BYTES), build=body),),
        delete=None,
        before_delete=delete_versions,
        identity=parts("/", "bucket", "key"),
        rename={"kmsKeyId": "SSEKMSKeyId", "websiteRedirect": "WebsiteRedirectLocation"},
        provider_only=("forceDestroy",),
        write_only=("acl",),
        computed=("contentType", "serverSideEncryption", "storageClass"),
        replace_on=("bucket", "key"),
        refuses=(
            "checksumAlgorithm",
            "etag",
            "objectLockLegalHoldStatus",
            "objectLockMode",
            "objectLockRetainUntilDate",
            "overrideProvider",
        ),
        outputs={
            "arn": "arn:aws:s3:::{id}",
            "contentType": "ContentType",
            "etag": "ETag",
            "versionId": "VersionId",
        },
        volatile=("etag", "versionId"),
        tags=Tags(
            create="",
            add="PutObjectTagging",
            remove="DeleteObjectTagging",
            member="Tagging.TagSet",
            key={"Bucket": "{bucket}", "Key": "{key}"},
            whole=True,
            path="TagSet",
        ),
        missing=(*NO_BUCKET, Missing("NoSuchKey")),
        fidelity="behaves: bytes, versions and metadata are kept",
    ),
    setting(
        "BucketOwnershipControls",
        put="PutBucketOwnershipControls",
        read=Call("GetBucketOwnershipControls"),
        delete=Call("DeleteBucketOwnershipControls"),
        rename={"rule": "OwnershipControls.Rules[0]"},
        absent=("OwnershipControlsNotFoundError",),
        fidelity="behaves: ACLs are refused while the owner is enforced",
    ),
    setting(
        "BucketPolicy",
        put="PutBucketPolicy",
        omits=("confirmRemoveSelfBucketAccess",),
        read=Call("GetBucketPolicy"),
        delete=Call("DeleteBucketPolicy"),
        absent=("NoSuchBucketPolicy",),
        fidelity="behaves: IAM decides by it",
    ),
    setting(
        "BucketPublicAccessBlock",
        put="PutPublicAccessBlock",
        read=Call("GetPublicAccessBlock"),
        delete=Call("DeletePublicAccessBlock"),
        body="PublicAccessBlockConfiguration",
        defaults={
            "blockPublicAcls": False,
            "blockPublicPolicy": False,
            "ignorePublicAcls": False,
            "restrictPublicBuckets": False,
        },
        refuses=("skipDestroy",),
        absent=("NoSuchPublicAccessBlockConfiguration",),
        fidelity="behaves: public policies are refused; no ACL is, and nobody is kept out",
    ),
    setting(
        "BucketServerSideEncryptionConfiguration",
        put="PutBucketEncryption",
        read=Call("GetBucketEncryption"),
        delete=Call("DeleteBucketEncryption"),
        rename={
            "rules": "ServerSideEncryptionConfiguration.Rules",
            "blockedEncryptionTypes": "BlockedEncryptionTypes.EncryptionType",
        },
        refuses=("expectedBucketOwner",),
        absent=("ServerSideEncryptionConfigurationNotFoundError",),
        fidelity="recorded by moto: objects are not encrypted",
    ),
    setting(
        "BucketVersioning",
        put="PutBucketVersioning",
        read=Call(
            "GetBucketVersioning", result="[@][?Status] | [0]", into="VersioningConfiguration"
        ),
        delete=Call(
            "PutBucketVersioning", fixed={"VersioningConfiguration": {"Status": "Suspended"}}
        ),
        refuses=("expectedBucketOwner", "mfa"),
        fidelity="behaves: moto keeps every version",
    ),
)
