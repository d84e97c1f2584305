"""Buckets, what is set on them, and objects."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws_row import ALL, Call, Missing, Row, Scene, Tags, named, parts

NO_BUCKET = (Missing("NoSuchBucket"), Missing("404"))
BEHAVES = "behaves: kept by moto and answered back"


def empty(scene: Scene) -> None:
    """Delete every version of every object when the program allows it."""
    if not scene.old.get("forceDestroy"):
        return
    for page in scene.client.get_paginator("list_object_versions").paginate(Bucket=scene.id):
        held = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in held]
        if objects:
            scene.client.delete_objects(Bucket=scene.id, Delete={"Objects": objects})


def body(scene: Scene) -> Mapping[str, Any]:
    """The bytes of an object: text, base64, or the asset the program names."""
    new = scene.new
    if "contentBase64" in new:
        return {"Body": base64.b64decode(new["contentBase64"])}
    source = new.get("source") or {}
    if "path" in source:
        return {"Body": Path(source["path"]).read_bytes()}
    return {"Body": (source.get("text") or new.get("content") or "").encode()}


def setting(
    kind: str, *, put: str, get: str, delete: Call, rename: Mapping[str, str], **more: Any
) -> Row:
    """A row for one aspect of a bucket: put as a whole, named by the bucket."""
    return Row(
        token=f"aws:s3/b{kind[1:]}:{kind}",
        service="s3",
        create=Call(put),
        update=(Call(put, ALL),),
        delete=delete,
        identity=named("bucket"),
        rename=rename,
        replace_on=("bucket",),
        fidelity=more.pop("fidelity", BEHAVES),
        **more,
    )


ROWS = (
    Row(
        token="aws:s3/bucket:Bucket",
        service="s3",
        cfn="AWS::S3::Bucket",
        create=Call("CreateBucket"),
        read=Call("HeadBucket"),
        also=(
            Call("GetBucketTagging", absent=("NoSuchTagSet",)),
        ),
        delete=Call("DeleteBucket"),
        before_delete=empty,
        identity=named("bucket"),
        provider_only=("forceDestroy",),
        autoname="bucket",
        replace_on=("bucket",),
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
            "objectLockEnabled",
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
        fidelity="behaves: objects, versions and tags are kept; access is not checked",
    ),
)
