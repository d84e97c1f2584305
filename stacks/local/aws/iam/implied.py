"""What a service asks for the caller of a request: of KMS on the key, of IAM for its own role.

Sources: S3 user guide, "Using server-side encryption with AWS KMS keys"; SQS developer guide, "Key
management", and SNS developer guide, "Key management" (GenerateDataKey and Decrypt to send);
Kinesis developer guide, "Permissions to use user-generated KMS keys"; Secrets Manager user guide,
"Secret encryption and decryption"; SageMaker API, OnlineStoreSecurityConfig (Decrypt for records).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.data import UNKNOWN
from stacks.local.aws import service_linked_roles
from stacks.local.aws.iam import ec2
from stacks.local.aws.iam.asked import Asked, Check
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.iam.special import key_arn
from stacks.local.aws.recorded.table import KINDS

WRITE, READ = "kms:GenerateDataKey", "kms:Decrypt"
NEEDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "s3": {
        "CompleteMultipartUpload": (READ,),
        "CopyObject": (WRITE,),
        "CreateMultipartUpload": (WRITE,),
        "GetObject": (READ,),
        "PutObject": (WRITE,),
        "UploadPart": (WRITE, READ),
    },
    "sqs": {
        "ReceiveMessage": (READ,),
        "SendMessage": (WRITE, READ),
        "SendMessageBatch": (WRITE, READ),
    },
    "sns": {"Publish": (WRITE, READ), "PublishBatch": (WRITE, READ)},
    "kinesis": {"GetRecords": (READ,), "PutRecord": (WRITE,), "PutRecords": (WRITE,)},
    "secretsmanager": {"GetSecretValue": (READ,), "PutSecretValue": (WRITE, READ)},
    "sagemaker-featurestore-runtime": {
        "BatchGetRecord": (READ,),
        "BatchWriteRecord": (READ,),
        "DeleteRecord": (READ,),
        "GetRecord": (READ,),
        "ListRecords": (READ,),
        "PutRecord": (READ,),
        "UpdateRecord": (READ,),
    },
}
"""Service of botocore -> operation -> actions on the key that encrypts what it is about."""

CONTEXT_OF: Mapping[str, str] = {
    "kinesis": "aws:kinesis:arn",
    "secretsmanager": "SecretARN",
    "sns": "aws:sns:topicArn",
    "sqs": "aws:sqs:arn",
}
"""Service -> key of the encryption context that holds the ARN of the resource."""

KMS = ("aws:kms", "aws:kms:dsse")
SERVED_BY: Mapping[str, str] = {"sagemaker-featurestore-runtime": "sagemaker"}
"""Service of botocore -> the one that asks KMS. Default: itself."""

OnlineKey = Callable[[str], "str | None"]
"""Name or ARN of a feature group -> the key of its online store."""


def needed(asked: Asked, place: Place, online_key: OnlineKey) -> Iterator[Check]:
    """Everything that is asked beside the operation itself."""
    if (bucket := _missing_object(asked, place)) is not None:
        yield Check(action="s3:ListBucket", resource=bucket)
    for action, key, known in _of_keys(asked, place, online_key):
        yield Check(action=action, resource=key, known=known)
    for role, service in _linked_roles(asked):
        known = {"iam:AWSServiceName": service}
        yield Check(action="iam:CreateServiceLinkedRole", resource=role, known=known)


def _of_keys(
    asked: Asked, place: Place, online_key: OnlineKey
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Action, key and condition keys of each permission; none where no key of KMS is used."""
    if asked.service == "ec2":
        yield from _of_volumes(asked, place)
    actions = NEEDS.get(asked.service, {}).get(asked.operation)
    if actions is None:
        return
    if asked.service == "s3":
        found = _of_object(asked, place)
    elif asked.service == "sagemaker-featurestore-runtime":
        found = _of_records(asked, online_key)
    else:
        found = _of_thing(asked, place)
    if found is None:
        return
    name, encrypted = found
    arn = key_arn(name, place) if name else None
    if arn is None:  # not encrypted by KMS, or by AWS's own key, whose policy lets everybody
        return
    known = _via(SERVED_BY.get(asked.service, asked.service), encrypted, place)
    for action in actions:
        yield action, arn, known


def _of_volumes(asked: Asked, place: Place) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The id of a volume is not known before it is there."""
    known = {**_via("ec2", {"aws:ebs:id": UNKNOWN}, place), "kms:GrantIsForAWSResource": True}
    for action, name in ec2.keys_of(asked, place):
        if (arn := key_arn(name, place)) is not None:
            yield action, arn, known


def _via(service: str, encrypted: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Condition keys of a request that a service makes in the caller's name."""
    return {
        "kms:ViaService": f"{service}.{place.region}.amazonaws.com",
        **{f"kms:EncryptionContext:{key}": value for key, value in encrypted.items()},
        "kms:EncryptionContextKeys": [*encrypted] or UNKNOWN,
        "aws:ViaAWSService": True,
        "aws:CalledVia": [f"{service}.amazonaws.com"],
    }


Found = tuple["str | None", Mapping[str, str]]
"""A key, and the encryption context with which it is used."""


def _of_object(asked: Asked, place: Place) -> Found | None:
    bucket = _bucket(asked, place)
    if bucket is None:
        return None
    name, with_bucket_key = _key(asked, bucket)
    on = f"arn:{place.partition}:s3:::{bucket.name}"
    held = on if with_bucket_key else f"{on}/{asked.parameters.get('Key', '')}"
    return name, {"aws:s3:arn": held}


def _of_records(asked: Asked, online_key: OnlineKey) -> Found | None:
    """What is known of the encryption context of a feature group's records: nothing."""
    many = asked.parameters.get("Identifiers") or asked.parameters.get("Entries")
    items = many or [asked.parameters]
    names = [str(item.get("FeatureGroupName", "")) for item in items]
    keys = {key for name in names if (key := online_key(name))}
    return (min(keys), {}) if keys else None


def _of_thing(asked: Asked, place: Place) -> Found | None:
    """Queues, topics, streams and secrets, as moto holds them."""
    from moto.backends import get_backend

    backend = get_backend(asked.service)[place.account][place.region]
    given = asked.parameters
    match asked.service:
        case "sqs":
            thing = backend.queues.get(str(given.get("QueueUrl", "")).rpartition("/")[2])
            key, arn = getattr(thing, "kms_master_key_id", None), getattr(thing, "queue_arn", "")
        case "sns":
            thing = backend.topics.get(str(given.get("TopicArn") or given.get("TargetArn") or ""))
            key, arn = getattr(thing, "kms_master_key_id", None), getattr(thing, "arn", "")
        case "kinesis":
            name = str(given.get("StreamName") or given.get("StreamARN") or "").rpartition("/")[2]
            thing = backend.streams.get(name)
            key, arn = getattr(thing, "key_id", None), getattr(thing, "arn", "")
        case _:
            thing = backend.secrets.get(str(given.get("SecretId", "")))
            key, arn = getattr(thing, "kms_key_id", None), getattr(thing, "arn", "")
    return (str(key), {CONTEXT_OF[asked.service]: str(arn)}) if key else None


def _linked_roles(asked: Asked) -> Iterator[tuple[str, str]]:
    """The role that a service must have first and that is not there, and the service."""
    template = LINKED.get((asked.service, asked.operation))
    if template is None:
        return
    service = template.format_map(defaultdict(str, asked.parameters))
    if arn := service_linked_roles.missing(service):
        yield arn, service


LINKED: Mapping[tuple[str, str], str] = {
    (kind.service, kind.create): kind.linked_service for kind in KINDS if kind.linked_service
}


def _missing_object(asked: Asked, place: Place) -> str | None:
    """The bucket in which an object is asked for that is not there.

    That it is missing is told to those alone who may list the bucket (S3 API, GetObject and
    HeadObject: 404 with s3:ListBucket, 403 without).
    """
    if asked.service != "s3" or asked.operation not in ("GetObject", "HeadObject"):
        return None
    bucket = _bucket(asked, place)
    if bucket is None or bucket.keys.getlist(asked.parameters.get("Key"), []):
        return None
    return f"arn:{place.partition}:s3:::{bucket.name}"


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
