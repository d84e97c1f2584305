"""How long names and documents may be, and how many of a thing there may be: data, with conditions.

moto takes what is longer. Members have their bounds and patterns in botocore's models; quotas of
documents, which no model holds, are rows here. Defaults are those of an account that never asked
AWS for more (IAM user guide, "IAM and AWS STS quotas").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import jmespath

from stacks.local.aws.refusals.account import Account, backend
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

MANAGED_POLICY, TRUST, INLINE_PER_ROLE = 6_144, 2_048, 10_240
SESSION_POLICY = 2_048
POLICIES_PER_ROLE = 10
BUCKET_POLICY, KEY_POLICY, TOPIC_POLICY, QUEUE_POLICY = 20 * 1024, 32 * 1024, 30 * 1024, 8 * 1024
PARAMETER = {"Standard": 4_096, "Advanced": 8_192}

QUOTAS = "IAM user guide, IAM and AWS STS quotas"


def size(text: Any) -> int:
    """Characters as IAM counts them: without white space."""
    return len(re.sub(r"\s", "", str(text or "")))


def longer(path: str, most: int, counted: Callable[[Any], int] = size) -> Condition:
    """A text in the request, found by a JMESPath, exceeds a quota."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        found = jmespath.search(path, request)
        if found is None or counted(found) <= most:
            return None
        return {"most": str(most)}

    return condition


def in_bytes(text: Any) -> int:
    return len(text if isinstance(text, bytes) else str(text).encode())


def inline_policies_too_large(request: Request, account: Account) -> Mapping[str, str] | None:
    """All inline policies of a role together, with the one that is put."""
    name = str(request["RoleName"])
    role = next((r for r in backend("iam", "aws").roles.values() if r.name == name), None)
    others = dict(role.policies) if role is not None else {}
    others[str(request["PolicyName"])] = request["PolicyDocument"]
    if sum(size(unquote(str(text))) for text in others.values()) <= INLINE_PER_ROLE:
        return None
    return {"role": name, "most": str(INLINE_PER_ROLE)}


def too_many_policies(request: Request, account: Account) -> Mapping[str, str] | None:
    """Managed policies that are attached to a role."""
    roles = backend("iam", "aws").roles.values()
    role = next((one for one in roles if one.name == request["RoleName"]), None)
    if role is None or request["PolicyArn"] in role.managed_policies:
        return None
    full = len(role.managed_policies) >= POLICIES_PER_ROLE
    return {"most": str(POLICIES_PER_ROLE)} if full else None


def parameter_too_long(tier: str) -> Condition:
    """The value of a parameter of a tier."""

    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        chosen = str(request.get("Tier") or "Standard")
        value = len(str(request.get("Value") or ""))
        if chosen == "Intelligent-Tiering":
            chosen = "Advanced" if value > PARAMETER["Standard"] else "Standard"
        return {} if chosen == tier and value > PARAMETER[tier] else None

    return condition


def _bounded(
    *operations: str, of: str, path: str, most: int, code: str, text: str, source: str,
    counted: Callable[[Any], int] = in_bytes,
) -> Refusal:  # fmt: skip
    return Refusal(
        service=of, operations=operations, condition=longer(path, most, counted),
        code=code, text=text, source=source,
    )  # fmt: skip


LIMITS: tuple[Refusal, ...] = (
    _bounded(
        "CreatePolicy",
        "CreatePolicyVersion",
        of="iam",
        path="PolicyDocument",
        most=MANAGED_POLICY,
        code="LimitExceeded",
        text="Cannot exceed quota for PolicySize: {most}",
        source=f"{QUOTAS}; docker/docs issue 5815",
        counted=size,
    ),
    _bounded(
        "CreateRole",
        of="iam",
        path="AssumeRolePolicyDocument",
        most=TRUST,
        code="LimitExceeded",
        text="Cannot exceed quota for ACLSizePerRole: {most}",
        source=f"{QUOTAS}; kubeflow/kubeflow issue 6687",
        counted=size,
    ),
    _bounded(
        "UpdateAssumeRolePolicy",
        of="iam",
        path="PolicyDocument",
        most=TRUST,
        code="LimitExceeded",
        text="Cannot exceed quota for ACLSizePerRole: {most}",
        source=f"{QUOTAS}; kubeflow/kubeflow issue 6687",
        counted=size,
    ),
    Refusal(
        service="iam",
        operations=("PutRolePolicy",),
        condition=inline_policies_too_large,
        code="LimitExceeded",
        text="Maximum policy size of {most} bytes exceeded for role {role}",
        source=f"{QUOTAS}; aws-amplify/amplify-backend issue 2615",
    ),
    Refusal(
        service="iam",
        operations=("AttachRolePolicy",),
        condition=too_many_policies,
        code="LimitExceeded",
        text="Cannot exceed quota for PoliciesPerRole: {most}",
        source=f"{QUOTAS}; ministryofjustice/cloud-platform-environments pull request 14118",
    ),
    _bounded(
        "AssumeRole",
        of="sts",
        path="Policy",
        most=SESSION_POLICY,
        code="ValidationError",
        text=(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member "
            "must have length less than or equal to {most}"
        ),
        source="STS API, AssumeRole: plaintext of a session policy; the text is other members'",
        counted=len,
    ),
    _bounded(
        "PutBucketPolicy",
        of="s3",
        path="Policy",
        most=BUCKET_POLICY,
        code="PolicyTooLarge",
        text="Policy exceeds the maximum allowed document size.",
        source=(
            "Amazon S3 user guide, adding a bucket policy: 20 KB; code and text as MinIO has them "
            "of S3 (minio/minio issue 8625)"
        ),
    ),
    _bounded(
        "CreateKey",
        "PutKeyPolicy",
        of="kms",
        path="Policy",
        most=KEY_POLICY,
        code="LimitExceededException",
        text="The request was rejected because a length constraint or quota was exceeded.",
        source="KMS developer guide, quotas: key policy document size 32 KB; KMS API, errors",
    ),
    _bounded(
        "SetTopicAttributes",
        of="sns",
        path="AttributeName == 'Policy' && AttributeValue || ''",
        most=TOPIC_POLICY,
        code="InvalidParameter",
        text="Invalid parameter: Policy Error: the policy must have no more than {most} bytes",
        source="Amazon SNS endpoints and quotas: topic policy 30 KB; the text is ours",
    ),
    _bounded(
        "CreateQueue",
        "SetQueueAttributes",
        of="sqs",
        path="Attributes.Policy",
        most=QUEUE_POLICY,
        code="OverLimit",
        text="Submitted policy is over max allowed size.",
        source="SQS developer guide, quotas of policies; justeattakeaway/JustSaying issue 211",
    ),
    Refusal(
        service="ssm",
        operations=("PutParameter",),
        condition=parameter_too_long("Standard"),
        code="ValidationException",
        text=(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To "
            "create a larger parameter value, upgrade the parameter to use the advanced-parameter "
            "tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/"
            "userguide/parameter-store-advanced-parameters.html"
        ),
        source="hashicorp/terraform-provider-aws issue 18521",
    ),
    Refusal(
        service="ssm",
        operations=("PutParameter",),
        condition=parameter_too_long("Advanced"),
        code="ValidationException",
        text="Advanced tier parameters support a maximum parameter value of 8192 characters.",
        source="Systems Manager user guide, managing parameter tiers; the text after the other's",
    ),
)
"""Order matters: of several the first that holds is told."""
