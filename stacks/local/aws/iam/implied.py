"""What S3 asks of KMS for the caller of a request: its own permission on the object's key.

Source: S3 user guide, "Using server-side encryption with AWS KMS keys": GenerateDataKey to write,
Decrypt to read, both for an upload in parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stacks.local.aws.iam.asked import Asked
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.iam.special import key_arn

WRITE, READ = "kms:GenerateDataKey", "kms:Decrypt"
NEEDS: Mapping[str, tuple[str, ...]] = {
    "CompleteMultipartUpload": (READ,),
    "CopyObject": (WRITE,),
    "CreateMultipartUpload": (WRITE,),
    "GetObject": (READ,),
    "PutObject": (WRITE,),
    "UploadPart": (WRITE, READ),
}
KMS = ("aws:kms", "aws:kms:dsse")


def of_keys(asked: Asked, place: Place) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Action, key and condition keys of each permission; none where no key of KMS is used."""
    if asked.service != "s3" or asked.operation not in NEEDS:
        return
    bucket = _bucket(asked, place)
    if bucket is None:
        return
    name, with_bucket_key = _key(asked, bucket)
    arn = key_arn(name, place) if name else None
    if arn is None:  # not encrypted by KMS, or by AWS's own key, whose policy lets everybody
        return
    on = f"arn:{place.partition}:s3:::{bucket.name}"
    held = on if with_bucket_key else f"{on}/{asked.parameters.get('Key', '')}"
    known = {
        "kms:ViaService": f"s3.{place.region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": held,
        "kms:EncryptionContextKeys": ["aws:s3:arn"],
        "aws:ViaAWSService": True,
        "aws:CalledVia": ["s3.amazonaws.com"],
    }
    for action in NEEDS[asked.operation]:
        yield action, arn, known


def _bucket(asked: Asked, place: Place) -> Any:
    from moto.s3.models import s3_backends

    name = str(asked.parameters.get("Bucket", ""))
    return s3_backends[place.account][place.partition].buckets.get(name)


def _key(asked: Asked, bucket: Any) -> tuple[str | None, bool]:
    """The KMS key of the object, and whether a key of the bucket stands before it."""
    if asked.operation == "GetObject":
        version = asked.parameters.get("VersionId")
        stored = [
            item
            for item in bucket.keys.getlist(asked.parameters.get("Key"), [])
            if version in (None, getattr(item, "version_id", None))
        ]
        found = stored[-1] if stored else None
        if found is None or getattr(found, "encryption", None) not in KMS:
            return None, False
        return found.kms_key_id, str(found.bucket_key_enabled).lower() == "true"
    rule = (bucket.encryption or {}).get("Rule", {})
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    chosen = asked.parameters.get("ServerSideEncryption") or default.get("SSEAlgorithm")
    if chosen not in KMS:
        return None, False
    enabled = asked.parameters.get("BucketKeyEnabled", rule.get("BucketKeyEnabled"))
    key = asked.parameters.get("SSEKMSKeyId") or default.get("KMSMasterKeyID")
    return key, str(enabled).lower() == "true"
