"""The KMS key under which the secrets in the state of an environment's stacks are encrypted."""

from __future__ import annotations

from typing import Any

from infra.errors import UserError
from infra.naming import Names
from stacks.bootstrap.need import NOT_THERE, Need, answer
from stacks.targets.state_place import alias

PURPOSE = "plinth:purpose"
"""Tag by which a key is found again that was made before its alias."""

DELETION_WINDOW_DAYS = 30
"""The longest that KMS offers: whoever has a copy of the state has as long to object."""


def state_key(kms: Any, names: Names, tags: dict[str, str]) -> Need:
    """A symmetric key with rotation, and the alias that the stacks' files name."""
    name = alias(names.env)
    return Need(
        name=f"key {name}",
        why="encrypts the secrets in the state and the bucket that holds it",
        missing=lambda: _missing(kms, name),
        make=lambda: _make(kms, name, tags),
        delete=lambda: _delete(kms, name),
    )


def key_arn(kms: Any, env: str) -> str:
    """ARN of the key behind the alias; empty before there is one."""
    found = _described(kms, alias(env))
    return str(found["Arn"]) if found else ""


def _described(kms: Any, key: str) -> Any:
    found = answer(kms.describe_key, KeyId=key)
    return found and found["KeyMetadata"]


def _missing(kms: Any, name: str) -> list[str]:
    found = _described(kms, name)
    if found is None:
        return [NOT_THERE]
    state = found["KeyState"]
    if state != "Enabled":
        raise UserError(
            f"the key behind {name} must be enabled, is {state}",
            fix=f"aws kms cancel-key-deletion --key-id {found['KeyId']}, then enable-key"
            if state == "PendingDeletion"
            else f"aws kms enable-key --key-id {found['KeyId']}",
        )
    rotates = kms.get_key_rotation_status(KeyId=found["KeyId"])["KeyRotationEnabled"]
    return [] if rotates else ["rotation is off"]


def _make(kms: Any, name: str, tags: dict[str, str]) -> None:
    found = _described(kms, name)
    if found is None:
        found = _left_without_alias(kms, name) or _created(kms, name, tags)
        kms.create_alias(AliasName=name, TargetKeyId=found["KeyId"])
    kms.enable_key_rotation(KeyId=found["KeyId"])


def _created(kms: Any, name: str, tags: dict[str, str]) -> Any:
    said = {**tags, PURPOSE: name.replace("alias/", "")}
    created = kms.create_key(
        Description=f"Secrets in Pulumi's state ({name})",
        Tags=[{"TagKey": key, "TagValue": value} for key, value in sorted(said.items())],
    )
    return created["KeyMetadata"]


def _left_without_alias(kms: Any, name: str) -> Any:
    """A key that a bootstrap made which was cut off before it made the alias."""
    wanted = {"TagKey": PURPOSE, "TagValue": name.replace("alias/", "")}
    for page in kms.get_paginator("list_keys").paginate():
        for item in page["Keys"]:
            found = _described(kms, item["KeyId"])
            if found["KeyManager"] != "CUSTOMER" or found["KeyState"] != "Enabled":
                continue
            if wanted in kms.list_resource_tags(KeyId=item["KeyId"])["Tags"]:
                return found
    return None


def _delete(kms: Any, name: str) -> str:
    found = _described(kms, name)
    if found is None:
        return NOT_THERE
    kms.delete_alias(AliasName=name)
    kms.schedule_key_deletion(KeyId=found["KeyId"], PendingWindowInDays=DELETION_WINDOW_DAYS)
    return f"its alias is deleted; KMS deletes the key in {DELETION_WINDOW_DAYS} days"
