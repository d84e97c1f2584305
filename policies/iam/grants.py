"""Grants of KMS as what they say: a policy of the key for one principal.

Source: KMS developer guide, "Grants in AWS KMS" and "Authorizing with grants": a grant adds to what
key and IAM policies allow, for its operations alone, under its encryption context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policies.iam.document import WITH_VARIABLES, Policy, compiled


def grant(
    grant_id: str,
    grantee: str,
    operations: Sequence[str],
    constraints: Mapping[str, Mapping[str, str]] | None = None,
) -> Policy:
    """A grant as a policy of its key, with the constraints over the encryption context."""
    statement: dict[str, Any] = {
        "Sid": grant_id,
        "Effect": "Allow",
        "Principal": _principal(grantee),
        "Action": [f"kms:{name}" for name in operations],
        "Resource": "*",
    }
    wanted = dict((constraints or {}).get("EncryptionContextEquals", {}))
    wanted |= (constraints or {}).get("EncryptionContextSubset", {})
    if wanted:
        keys = {f"kms:EncryptionContext:{key}": value for key, value in wanted.items()}
        statement["Condition"] = {"StringEquals": keys}
    if equal := (constraints or {}).get("EncryptionContextEquals"):
        statement["Condition"]["ForAllValues:StringEquals"] = {
            "kms:EncryptionContextKeys": sorted(equal)
        }
    return compiled({"Version": WITH_VARIABLES, "Statement": [statement]}, f"grant {grant_id}")


def _principal(grantee: str) -> Mapping[str, str]:
    return {"AWS" if grantee.startswith("arn:") else "Service": grantee}
