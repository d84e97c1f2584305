"""Bucket policies as S3 evaluates them, where moto goes wrong.

moto denies a request when the condition of a statement does *not* hold (moto 5.2.5,
`IAMPolicyStatement.is_action_permitted`), so a policy that refuses plain HTTP refuses everything.
"""

import json
from collections.abc import Mapping
from typing import Any

LOOPBACK = {"aws:SecureTransport": "true"}
"""What a request says of itself: it never leaves the machine, which stands in for TLS."""


def install() -> None:
    """Let moto's buckets answer with `permission`."""
    from moto.s3.models import FakeBucket

    FakeBucket.get_permission = permission


def permission(bucket: Any, action: str, resource: str) -> Any:
    """moto's verdict over the statements whose conditions hold."""
    from moto.iam.access_control import IAMPolicy, PermissionResult

    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    document = json.loads(bucket.policy)
    applying = [
        {key: value for key, value in statement.items() if key != "Condition"}
        for statement in document["Statement"]
        if holds(statement.get("Condition", {}))
    ]
    if not applying:
        return PermissionResult.NEUTRAL
    return IAMPolicy({**document, "Statement": applying}).is_action_permitted(action, resource)


def holds(condition: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether every key of a condition has the wanted value; a key we do not know has none."""
    return all(
        operator in ("Bool", "StringEquals") and LOOPBACK.get(key) == str(wanted).lower()
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )
