"""Bucket policies are IAM's to decide, at the gate, and not moto's.

moto denies a request when the condition of a statement does *not* hold (moto 5.2.5,
`IAMPolicyStatement.is_action_permitted`), and asks nobody who the caller is.
"""

from typing import Any


def install() -> None:
    """Let moto's buckets have no opinion."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    def permission(bucket: Any, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL

    FakeBucket.get_permission = permission
