"""Keys of KMS that are switched off, about to be deleted, or made for something else."""

from collections.abc import Mapping
from typing import Any

from stacks.local.aws.protocols import model_of
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

NEEDS_ENABLED = tuple(
    name
    for name in model_of("kms").operation_names
    if "DisabledException" in {e.name for e in model_of("kms").operation_model(name).error_shapes}
    and "KeyId" in model_of("kms").operation_model(name).input_shape.members
)
"""Operations that a disabled key is refused to (KMS developer guide, "Key states")."""

LEFT_TO_PENDING = frozenset({
    "CancelKeyDeletion", "DeleteAlias", "DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus",
    "ListGrants", "ListKeyPolicies", "ListResourceTags", "PutKeyPolicy", "RetireGrant",
    "RevokeGrant",
})  # fmt: skip
NOT_PENDING = tuple(
    name
    for name in model_of("kms").operation_names
    if "KMSInvalidStateException"
    in {e.name for e in model_of("kms").operation_model(name).error_shapes}
    and {"KeyId", "TargetKeyId"} & model_of("kms").operation_model(name).input_shape.members.keys()
    and name not in LEFT_TO_PENDING
)
"""Operations that a key is refused to which is about to be deleted (the same table)."""

FEWEST_DAYS, MOST_DAYS = 7, 30
AWS_ALIAS = "alias/aws/"

USED_BY = {
    "ENCRYPT_DECRYPT": (
        "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
    ),
    "SIGN_VERIFY": ("Sign", "Verify"),
    "GENERATE_VERIFY_MAC": ("GenerateMac", "VerifyMac"),
}  # fmt: skip
"""Use of a key -> operations that need it (KMS API reference, InvalidKeyUsageException)."""


def _in_state(state: str) -> Condition:
    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        key = account.key(_named(request))
        return {"arn": str(key.arn)} if key is not None and key.key_state == state else None

    return condition


def _named(request: Request) -> str:
    """The key of a request; a ciphertext begins with its key's id, as moto makes one."""
    blob = request.get("CiphertextBlob")
    if isinstance(blob, bytes) and not request.get("KeyId"):
        return blob[:ID_LETTERS].decode("ascii", "replace")
    return str(request.get("KeyId") or request.get("TargetKeyId") or "")


ID_LETTERS = 36


def _other_window(request: Request, account: Account) -> Mapping[str, str] | None:
    days = request.get("PendingWindowInDays")
    return None if days is None or FEWEST_DAYS <= days <= MOST_DAYS else {}


def _alias_of_aws(request: Request, account: Account) -> Mapping[str, str] | None:
    return {} if str(request.get("AliasName")).startswith(AWS_ALIAS) else None


def _used_otherwise(operation: str, use: str) -> Condition:
    def condition(request: Request, account: Account) -> Mapping[str, str] | None:
        key: Any = account.key(str(request.get("KeyId", "")))
        made_for = "" if key is None else str(key.key_usage or "ENCRYPT_DECRYPT")  # the default
        if made_for in ("", use):
            return None
        return {"arn": str(key.arn), "use": made_for, "operation": operation}

    return condition


KEY_STATES = (
    Refusal(
        service="kms",
        operations=NEEDS_ENABLED,
        condition=_in_state("Disabled"),
        code="DisabledException",
        text="{arn} is disabled.",
        source="KMS developer guide, Key states of AWS KMS keys",
    ),
    Refusal(
        service="kms",
        operations=NOT_PENDING,
        condition=_in_state("PendingDeletion"),
        code="KMSInvalidStateException",
        text="{arn} is pending deletion.",
        source="KMS developer guide, Key states of AWS KMS keys",
    ),
    Refusal(
        service="kms",
        operations=("ScheduleKeyDeletion",),
        condition=_other_window,
        code="ValidationException",
        text="PendingWindowInDays must be between 7 and 30 (inclusive).",
        source="KMS API reference, ScheduleKeyDeletion; the text is ours",
    ),
    Refusal(
        service="kms",
        operations=("CreateAlias",),
        condition=_alias_of_aws,
        code="InvalidAliasNameException",
        text="Aliases that begin with alias/aws/ are reserved for AWS managed keys.",
        source="KMS API reference, CreateAlias; the text is ours",
    ),
    *(
        Refusal(
            service="kms",
            operations=(operation,),
            condition=_used_otherwise(operation, use),
            code="InvalidKeyUsageException",
            text="{arn} key usage is {use} which is not valid for {operation}.",
            source="KMS API reference, InvalidKeyUsageException",
        )
        for use, operations in USED_BY.items()
        for operation in operations
    ),
)
