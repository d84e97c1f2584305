"""What guards the data: buckets that refuse plain HTTP, keys that rotate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from stacks.checks.check import CheckResult, Platform, Unanswered, attempt, failed, passed

BUCKET = "aws:s3/bucket:Bucket"
ALIAS = "aws:kms/alias:Alias"
REFUSED = ("AccessDenied", "403")


def check_buckets(platform: Platform) -> Iterator[CheckResult]:
    """Buckets refuse plain HTTP: by their policy and, where there is HTTPS too, when tried."""
    for bucket in platform.of_type(BUCKET):
        name = bucket.inputs.get("bucket")
        if not denies_plain_http(_policy(platform, name)):
            yield failed(
                "buckets",
                name,
                "must deny requests without TLS by its policy, does not",
                f"type `plinth up {platform.stack}`: infra/storage.py writes that statement",
            )
            continue
        tried = attempt(lambda name=name: _answers_plain_http(platform, name))  # type: ignore[misc]
        if tried is True:
            yield failed(
                "buckets", name, "must refuse plain HTTP, answered", "look at its policy's order"
            )
        else:
            how = f"not tried: {tried.reason}" if isinstance(tried, Unanswered) else "and tried"
            yield passed("buckets", name, f"denies requests without TLS by policy, {how}")


def _policy(platform: Platform, bucket: str) -> Mapping[str, Any]:
    try:
        text = platform.clients("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return {}
    policy: Mapping[str, Any] = json.loads(text)
    return policy


def denies_plain_http(policy: Mapping[str, Any]) -> bool:
    """Whether a statement denies everyone everything without TLS."""
    return any(
        statement["Effect"] == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and _one(statement.get("Action")) in ("*", "s3:*")
        and str(
            _one((statement.get("Condition") or {}).get("Bool", {}).get("aws:SecureTransport"))
        ).lower()
        == "false"
        for statement in policy.get("Statement") or ()
    )


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _answers_plain_http(platform: Platform, bucket: str) -> bool:
    """Ask for the bucket with valid credentials, but without TLS."""
    client = platform.plain_http("s3")
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] in REFUSED:
            return False
        raise
    return True


def check_keys(platform: Platform) -> Iterator[CheckResult]:
    """Keys rotate: a key that leaked some day protects what was written after it no longer."""
    kms = platform.clients("kms")
    for alias in platform.of_type(ALIAS):
        name = alias.inputs.get("name")
        key_id = kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"]
        if kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"]:
            yield passed("keys", name, "rotates")
        else:
            yield failed(
                "keys",
                name,
                "must rotate, does not",
                f"aws kms enable-key-rotation --key-id {key_id}",
            )
