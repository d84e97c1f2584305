"""JSON Web Tokens by which an issuer says who somebody is: GitHub's jobs, pods of the EKS cluster.

Nothing is fetched: the keys of the cluster's issuer are its control plane's, those of another one
stand in a file that stacks/environments/local.yaml names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stacks.local.aws.signatures import Refused
from stacks.local.kubernetes.control_plane import public_key
from stacks.paths import ENVIRONMENTS

KeysOf = Callable[[str], "str | None"]
"""URL of an issuer -> its public keys: a JSON Web Key Set, or the EC key of the cluster in PEM.
None: not known."""

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
"""What STS takes (IAM user guide, "Create an OpenID Connect identity provider in IAM")."""

REQUIRED = ("iss", "sub", "aud", "exp", "iat")
"""Claims that STS wants (the same)."""

TAGS = "https://aws.amazon.com/tags"
"""Claim with session tags (IAM user guide, "Pass session tags in AWS STS")."""

Claims = Mapping[str, Any]


def known_keys(home: Path, folder: Path = ENVIRONMENTS) -> KeysOf:
    """The keys of the cluster of a home, and those of the file of `local` in a folder."""
    from stacks.settings.load import load_environment

    def keys_of(issuer: str) -> str | None:
        found = public_key(home / "local" / "kubernetes", issuer)
        if found is not None:
            return found
        rows = load_environment("local", folder).token_issuers
        files = [Path(row.jwks_file).expanduser() for row in rows if row.url == issuer]
        return files[0].read_text() if files else None

    return keys_of


def issuer_of(token: str) -> str:
    """Who a token says that it is from; Refused where it is none."""
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        payload = json.loads(jws.extract_compact(token.encode()).payload)
        issuer = payload["iss"]
    except (JoseError, ValueError, KeyError, TypeError):
        raise invalid("The ID Token provided is not a valid JWT.") from None
    return str(issuer)


def verified(
    token: str, keys_of: KeysOf, audiences: tuple[str, ...], now: Callable[[], float] = time.time
) -> Claims:
    """What a token says, once its signature, audience and time are right; Refused otherwise."""
    from joserfc import jwt
    from joserfc.errors import JoseError

    key = _key(issuer_of(token), keys_of)
    try:
        claims: Claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
    except (JoseError, ValueError):
        told = "The web identity token that was passed could not be validated by AWS."
        raise invalid(f"{told} Get a new identity token from the identity provider.") from None
    missing = [name for name in REQUIRED if name not in claims]
    if missing:
        raise invalid(f"Missing a required claim: {', '.join(missing)}")
    if audience_of(claims) not in audiences:
        raise invalid("Incorrect token audience")
    if not _is_number(claims["exp"]) or claims["exp"] <= now():
        told = f"current date/time {now():.0f} must be before the expiration date/time"
        raise Refused("ExpiredTokenException", f"Token expired: {told} {claims['exp']}", status=400)
    if _is_number(claims.get("nbf")) and claims["nbf"] > now():
        raise invalid("The token is not valid yet.")
    return claims


def audience_of(claims: Claims) -> str:
    """The one that a token is for: `azp` where there is one (IAM user guide, "Available keys for
    AWS OIDC federation", aud)."""
    if claims.get("azp"):
        return str(claims["azp"])
    audience = claims.get("aud")
    if isinstance(audience, list):
        return str(audience[0]) if len(audience) == 1 else ""
    return str(audience)


def session_tags(claims: Claims) -> dict[str, str]:
    """The session tags that a token brings."""
    tags = (claims.get(TAGS) or {}).get("principal_tags") or {}
    return {name: str(values[0]) for name, values in tags.items() if values}


def invalid(message: str) -> Refused:
    """STS's refusal of a token."""
    return Refused("InvalidIdentityToken", message, status=400)


def _key(issuer: str, keys_of: KeysOf) -> Any:
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet

    try:
        text = keys_of(issuer)
        if text is not None and text.lstrip().startswith("{"):
            return KeySet.import_key_set(json.loads(text))
        if text is not None:
            return JWKRegistry.import_key(text, "EC")  # what certificates.py makes
    except (OSError, JoseError, ValueError, KeyError) as error:
        why = f"its keys cannot be read: {error}"
    else:
        why = "nothing is fetched here: name a file with its keys in `token_issuers` of local.yaml"
    told = "Couldn't retrieve verification key from your identity provider"
    raise invalid(f"{told} {issuer} ({why})")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
