"""The bucket that holds the state of an environment's stacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import UserError
from infra.naming import Names
from stacks.bootstrap.need import NOT_THERE, Need, answer, contains

OLD_VERSIONS_DAYS = 365
"""How long a version of the state that was written over is kept."""


@dataclass(frozen=True, kw_only=True)
class Subresource:
    """One setting of the bucket, by the operations of S3's API that read and write it."""

    name: str
    get: str
    put: str
    wanted: dict[str, Any]
    """Members of the request; the answer must contain them."""

    read: Callable[[Any], Any] = lambda found: found
    """The answer in the form of `wanted`. Default: it is."""


def state_bucket(s3: Any, names: Names, key_arn: Callable[[], str], tags: dict[str, str]) -> Need:
    """Versioned, encrypted, private, by TLS alone, and nobody deletes it or an old version."""
    bucket = names.bucket("state")

    def settings() -> list[Subresource]:
        return list(subresources(bucket, key_arn(), tags))

    return Need(
        name=f"bucket {bucket}",
        why="holds the state of every stack; lost, nobody knows what is whose",
        missing=lambda: _missing(s3, bucket, settings),
        make=lambda: _make(s3, bucket, names.region, settings()),
        delete=lambda: _delete(s3, bucket),
    )


def subresources(bucket: str, key_arn: str, tags: dict[str, str]) -> Iterator[Subresource]:
    """How the bucket must be, in an order in which each can be set."""
    yield OWNERSHIP
    yield PRIVATE
    encrypted = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    rule = {"ApplyServerSideEncryptionByDefault": encrypted, "BucketKeyEnabled": True}
    yield Subresource(
        name="encryption",
        get="get_bucket_encryption",
        put="put_bucket_encryption",
        wanted={"ServerSideEncryptionConfiguration": {"Rules": [rule]}},
    )
    yield VERSIONED
    yield LIFECYCLE
    yield Subresource(
        name="tags",
        get="get_bucket_tagging",
        put="put_bucket_tagging",
        wanted={"Tagging": {"TagSet": [{"Key": k, "Value": v} for k, v in sorted(tags.items())]}},
        read=lambda found: {
            "Tagging": {"TagSet": sorted(found["TagSet"], key=lambda tag: str(tag["Key"]))}
        },
    )
    yield Subresource(  # last: it refuses what some of the others would change
        name="policy",
        get="get_bucket_policy",
        put="put_bucket_policy",
        wanted={"Policy": _policy(bucket)},
        read=lambda found: {"Policy": json.dumps(json.loads(found["Policy"]), sort_keys=True)},
    )


OWNERSHIP = Subresource(
    name="ownership",
    get="get_bucket_ownership_controls",
    put="put_bucket_ownership_controls",
    wanted={"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
)
PRIVATE = Subresource(
    name="public access block",
    get="get_public_access_block",
    put="put_public_access_block",
    wanted={
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        }
    },
)
VERSIONED = Subresource(
    name="versioning",
    get="get_bucket_versioning",
    put="put_bucket_versioning",
    wanted={"VersioningConfiguration": {"Status": "Enabled"}},
    read=lambda found: {"VersioningConfiguration": found},
)
OLD_VERSIONS = {
    "ID": "old-versions",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSIONS_DAYS},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}
LIFECYCLE = Subresource(
    name="lifecycle",
    get="get_bucket_lifecycle_configuration",
    put="put_bucket_lifecycle_configuration",
    wanted={"LifecycleConfiguration": {"Rules": [OLD_VERSIONS]}},
    read=lambda found: {"LifecycleConfiguration": {"Rules": found["Rules"]}},
)


def _policy(bucket: str) -> str:
    """Of one who may do anything too: the policy must be taken off first."""
    arn = f"arn:aws:s3:::{bucket}"
    statements = [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "KeepState",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:DeleteBucket", "s3:DeleteObjectVersion", "s3:PutBucketVersioning"],
            "Resource": [arn, f"{arn}/*"],
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)


def _exists(s3: Any, bucket: str) -> bool:
    """UserError where another account has a bucket of this name, or this caller may not see it."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        raise UserError(
            f"bucket {bucket} must be this account's to see, got {status} from S3",
            fix="log in as somebody who may; a name that another account has cannot be had",
        ) from None
    return True


def _missing(s3: Any, bucket: str, settings: Callable[[], list[Subresource]]) -> list[str]:
    if not _exists(s3, bucket):
        return [NOT_THERE]
    found = []
    for one in settings():
        got = answer(getattr(s3, one.get), Bucket=bucket)
        if got is None or not contains(one.read(got), one.wanted):
            found.append(f"{one.name} is not as it must be")
    return found


def _make(s3: Any, bucket: str, region: str, settings: list[Subresource]) -> None:
    if not _exists(s3, bucket):
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **({} if region == NO_CONSTRAINT else where))
    for one in settings:
        got = answer(getattr(s3, one.get), Bucket=bucket)
        if got is None or not contains(one.read(got), one.wanted):
            if one.name == "versioning":  # the policy of an older bootstrap refuses it
                s3.delete_bucket_policy(Bucket=bucket)
            getattr(s3, one.put)(Bucket=bucket, **one.wanted)


NO_CONSTRAINT = "us-east-1"
"""The region that CreateBucket does not take as a LocationConstraint (S3 API reference)."""

STACKS = ".pulumi/stacks/plinth/"
"""Where Pulumi's file and bucket backends keep the state of this project's stacks."""


def stacks_in(s3: Any, bucket: str) -> list[str]:
    """Names of the stacks whose state lies in the bucket."""
    if not _exists(s3, bucket):
        return []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=STACKS)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    return sorted(key.removeprefix(STACKS).removesuffix(".json") for key in keys if ".json" in key)


def _delete(s3: Any, bucket: str) -> str:
    if not _exists(s3, bucket):
        return NOT_THERE
    s3.delete_bucket_policy(Bucket=bucket)
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    remove = partial(s3.delete_object, Bucket=bucket)
    count = 0
    for page in pages:
        for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            remove(Key=item["Key"], VersionId=item["VersionId"])
            count += 1
    s3.delete_bucket(Bucket=bucket)
    return f"deleted, with {count} versions of what was in it"
