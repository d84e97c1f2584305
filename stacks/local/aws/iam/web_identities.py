"""AssumeRoleWithWebIdentity: nobody signs it, the token in it says who asks.

Source: STS API reference, AssumeRoleWithWebIdentity; IAM user guide, "Available keys for AWS OIDC
federation".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from policies.iam import reference
from policies.iam.request import Principal
from stacks.local.aws import identity_tokens
from stacks.local.aws.iam.asked import Asked
from stacks.local.aws.iam.callers import Caller
from stacks.local.aws.iam.resources import Place
from stacks.local.aws.identity_tokens import (
    Claims,
    KeysOf,
    audience_of,
    invalid,
    issuer_of,
    session_tags,
)

OPERATION = "AssumeRoleWithWebIdentity"
ACTION = f"sts:{OPERATION}"
DENIED = f"Not authorized to perform {ACTION}"
"""AWS's text of a denial, whoever asks."""

OTHERS_HEADERS = ("HTTP_X_AMZ_TARGET", "HTTP_AUTHORIZATION")
"""What would let a request be something else to whoever answers it."""


def asks(environ: Mapping[str, Any], body: bytes) -> bool:
    """Whether an unsigned request is one for a session by a token, and can be nothing else."""
    if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"].strip("/"):
        return False
    if environ.get("QUERY_STRING") or any(name in environ for name in OTHERS_HEADERS):
        return False
    if not str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        return False
    return parse_qs(body.decode("latin-1")).get("Action") == [OPERATION]


def federated(
    what: Asked, place: Place, keys_of: KeysOf
) -> tuple[Caller, Asked, Mapping[str, Any]]:
    """Who asks, by the provider that IAM knows; what, with the token's tags; its condition keys.

    Refused where the token is not valid here.
    """
    token = str(what.parameters.get("WebIdentityToken", ""))
    provider = _provider(issuer_of(token), str(what.parameters.get("RoleArn", "")), place)
    claims = identity_tokens.verified(token, keys_of, tuple(provider.client_id_list))
    tags = [{"Key": name, "Value": value} for name, value in session_tags(claims).items()]
    tagged = replace(what, parameters={**what.parameters, "Tags": tags})
    caller = Caller(principal=Principal(kind="federated", arn=provider.arn))
    return caller, tagged, _condition_keys(provider.url, claims)


def _provider(issuer: str, role_arn: str, place: Place) -> Any:
    """The identity provider of the account of the role."""
    from moto.iam.models import iam_backends

    account = role_arn.split(":")[4] if role_arn.count(":") == 5 else place.account
    providers = list(iam_backends[account][place.partition].open_id_providers.values())
    for provider in providers:
        if f"https://{provider.url}" == issuer:
            return provider
    raise invalid(f"No OpenIDConnect provider found in your account for {issuer}")


def _condition_keys(provider: str, claims: Claims) -> Mapping[str, Any]:
    """All that AWS documents for the action are known: what the token lacks is not there."""
    known: dict[str, Any] = {}
    for key in reference.condition_keys(ACTION):
        issuer, _, claim = key.rpartition(":")
        if issuer not in ("aws", "sts"):
            known[key] = claims.get(claim, ()) if issuer == provider.lower() else ()
    known |= {f"{provider}:aud": audience_of(claims), f"{provider}:sub": claims["sub"]}
    if "amr" in claims:
        known[f"{provider}:amr"] = claims["amr"]
    return {**known, "aws:FederatedProvider": provider}
