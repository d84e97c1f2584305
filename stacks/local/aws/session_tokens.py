"""Temporary keys of GetSessionToken and GetFederationToken that can sign.

moto answers both with one example key from AWS's documents, which nobody may sign with.
"""

import secrets
from collections.abc import Callable
from datetime import UTC
from typing import Any

from stacks.local.aws.signatures import Secret


def install(sessions: dict[str, Secret], owners: dict[str, str]) -> None:
    """Let moto's answers hold keys of their own, and enter them in `sessions` by their id.

    `owners` learns whose they are: the key that asked for them.
    """
    from moto.sts.responses import TokenResponse

    for name in ("get_session_token", "get_federation_token"):
        setattr(TokenResponse, name, _with_own_keys(getattr(TokenResponse, name), sessions, owners))


def _with_own_keys(
    answer: Callable[[Any], Any], sessions: dict[str, Secret], owners: dict[str, str]
) -> Callable[[Any], Any]:
    def answered(response: Any) -> Any:
        from moto.iam.models import iam_backends

        result = answer(response)
        backend = iam_backends[response.current_account][response.partition]
        key = backend.create_temp_access_key()
        credentials = result.result["Credentials"]
        token = secrets.token_urlsafe(96)
        owners[key.access_key_id] = response.get_access_key()
        credentials |= {
            "AccessKeyId": key.access_key_id,
            "SecretAccessKey": key.secret_access_key,
            "SessionToken": token,
        }
        sessions[key.access_key_id] = Secret(
            secret_access_key=key.secret_access_key,
            session_token=token,
            expires=credentials["Expiration"].replace(tzinfo=UTC).timestamp(),
        )
        return result

    return answered
