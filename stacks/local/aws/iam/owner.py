"""The owner of a home as a user of IAM, so that whatever asks who that is gets one answer."""

from __future__ import annotations

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.iam.callers import OWNER, OWNER_ID
from stacks.local.runtime.keys import Keys


def make(keys: Keys, region: str) -> None:
    """Make the user and give it the id of the home's key.

    The secret stays with the gate: what moto holds is kept on the disk.
    """
    from moto.iam.models import AccessKey, iam_backends

    backend = iam_backends[ACCOUNT_ID]["aws"]
    user = backend.create_user(region, OWNER)
    user.id = OWNER_ID
    key = AccessKey(user_name=OWNER, prefix="AKIA", account_id=ACCOUNT_ID)
    key.access_key_id = keys.access_key_id
    user.access_keys.append(key)
    backend.access_keys[key.access_key_id] = key
