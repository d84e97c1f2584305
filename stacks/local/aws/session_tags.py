"""Tags of a session, which its requests show as `aws:PrincipalTag`, and by whom it was asked.

moto keeps none and answers who asked with a web identity with an example. Source: IAM user guide,
"Pass session tags in AWS STS"; STS API reference, AssumeRoleWithWebIdentity.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def install() -> None:
    """Let moto's sessions of roles keep their tags, and its answers say whose they are."""
    from moto.sts.responses import TokenResponse

    for name, after in (
        ("assume_role", _of_a_role),
        ("assume_role_with_web_identity", _of_a_token),
    ):
        setattr(TokenResponse, name, _followed(getattr(TokenResponse, name), after))


def tags_of(session: Any) -> Mapping[str, str]:
    """The tags of a session of moto's."""
    found: Mapping[str, str] = getattr(session, "session_tags", {})
    return found


def tag(session: Any, tags: Mapping[str, str]) -> None:
    """Give a session of moto's its tags."""
    if tags:
        session.session_tags = dict(tags)


def _followed(
    answer: Callable[[Any], Any], after: Callable[[Any, dict[str, Any]], None]
) -> Callable[[Any], Any]:
    def answered(response: Any) -> Any:
        made = answer(response)
        after(response, made.result)
        return made

    return answered


def _of_a_role(response: Any, result: dict[str, Any]) -> None:
    given = response._get_param("Tags") or []
    tag(result["Credentials"], {one["Key"]: one.get("Value", "") for one in given})


def _of_a_token(response: Any, result: dict[str, Any]) -> None:
    """The gate has verified the token."""
    from joserfc import jws

    from stacks.local.aws.identity_tokens import audience_of, session_tags

    token = str(response._get_param("WebIdentityToken"))
    claims = json.loads(jws.extract_compact(token.encode()).payload)
    session = result["Credentials"]
    tag(session, session_tags(claims))
    result["AssumedRoleUser"]["AssumedRoleId"] = session.user_id
    result |= {
        "SubjectFromWebIdentityToken": claims["sub"],
        "Audience": audience_of(claims),
        "Provider": claims["iss"].removeprefix("https://"),
    }
