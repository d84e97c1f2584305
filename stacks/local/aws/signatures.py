"""Whether a request was signed with a key that the local cloud knows.

Signature Version 4 in headers, in a presigned URL and in a form's policy, and Version 2 in
presigned URLs of S3, which boto3 still makes for us-east-1. botocore makes the signature once more
from the request as it arrived. Sources: IAM user guide, "Signature Version 4 for API requests";
Amazon S3 API reference, "Authenticating Requests"; S3 user guide, "Signing and authenticating REST
requests" (Version 2).
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import EMPTY_SHA256_HASH, UNSIGNED_PAYLOAD, HmacV1Auth, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

CLOCK_SKEW_SECONDS = 15 * 60
"""How old a signed request may be (S3 user guide, RequestTimeTooSkewed)."""

LONGEST_PRESIGNED_SECONDS = 7 * 24 * 3600
"""X-Amz-Expires may not be larger (Amazon S3 API reference, "Query Parameters")."""

WITHOUT_EXPIRES = frozenset(("sts",))
"""Services that leave X-Amz-Expires aside: a presigned URL is as good as a request of its date
(aws-sdk-go, issue 2167)."""

ALGORITHM = "AWS4-HMAC-SHA256"
HEADER = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)
TIME = "%Y%m%dT%H%M%SZ"
OF_S3 = frozenset(("s3", "s3-outposts", "s3-object-lambda", "s3express"))
"""Services whose paths are signed as they are sent."""


@dataclass(frozen=True, kw_only=True)
class Secret:
    """What belongs to an access key id."""

    secret_access_key: str
    session_token: str | None = None
    """Token that must come with a temporary key. Default: a long-term key has none."""

    expires: float | None = None
    """Seconds since the epoch. Default: never."""


SecretOf = Callable[[str], Secret | None]
"""Access key id -> its secret; None for one that nobody made."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    """Path and query string, not decoded."""

    headers: Mapping[str, str]
    """Values by name in lower case."""

    body: bytes


class Refused(Exception):
    """AWS's error code for a request that is not answered, and its text."""

    def __init__(self, code: str, message: str, *, status: int = 403, protocol: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.protocol = protocol
        """Of the operation, as botocore names it. Default: told from the request's headers."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a request says about its signature."""

    access_key_id: str
    day: str
    region: str
    service: str
    stamp: str
    """Time of the signature, `20130524T000000Z`."""

    signed_headers: tuple[str, ...]
    signature: str
    expires_seconds: int | None
    """Lifetime of a presigned URL; None for a signature in headers."""

    token: str | None

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def service_of(request: Request) -> str:
    """The service that a request claims to be signed for; empty where it claims none."""
    try:
        claim = claim_of(request)
    except Refused:
        return ""
    if claim is not None:
        return claim.service
    return "s3" if "AWSAccessKeyId" in _query(request) else ""


def access_key_of(request: Request) -> str | None:
    """The access key id that the head of a request claims to be signed with."""
    try:
        claim = claim_of(request)
    except Refused:
        return None
    return claim.access_key_id if claim is not None else _query(request).get("AWSAccessKeyId")


def verify(request: Request, secret_of: SecretOf, now: Callable[[], float] = time.time) -> str:
    """The access key id that a request was signed with; Refused where it was not."""
    claim = claim_of(request)
    if claim is not None:
        return _verify_v4(request, claim, secret_of, now())
    if "AWSAccessKeyId" in _query(request):
        return _verify_v2(request, secret_of, now())
    raise Refused("MissingAuthenticationToken", "Request is missing Authentication Token")


def verify_form(
    bucket: str,
    fields: Mapping[str, str],
    secret_of: SecretOf,
    now: Callable[[], float] = time.time,
) -> str:
    """The access key id that signed the policy of an S3 form upload, which the form must meet.

    Source: Amazon S3 API reference, "Browser-Based Uploads Using POST".
    """
    form = {name.lower(): value for name, value in fields.items()}
    policy = form.get("policy", "")
    if "x-amz-signature" in form:
        access_key_id, day, region, service = _credential(form.get("x-amz-credential", ""))
        secret = _secret(access_key_id, form.get("x-amz-security-token"), secret_of, now())
        signing = _signing_key(secret.secret_access_key, day, region, service)
        expected = hmac.new(signing, policy.encode(), hashlib.sha256).hexdigest()
        given = form["x-amz-signature"]
    elif "signature" in form:
        access_key_id = form.get("awsaccesskeyid", "")
        secret = _secret(access_key_id, form.get("x-amz-security-token"), secret_of, now())
        digest = hmac.new(secret.secret_access_key.encode(), policy.encode(), hashlib.sha1)
        expected, given = base64.b64encode(digest.digest()).decode(), form["signature"]
    else:
        raise Refused("AccessDenied", "Access Denied")
    _same(expected, given)
    _meet_policy(policy, {**form, "bucket": bucket}, now())
    return access_key_id


def claim_of(request: Request) -> Claim | None:
    """The Version 4 signature of a request; None where it has none."""
    authorization = request.headers.get("authorization", "")
    query = _query(request)
    if authorization.startswith(ALGORITHM):
        found = HEADER.fullmatch(authorization.strip())
        if found is None:
            raise Refused(
                "IncompleteSignature",
                "Authorization must have Credential, SignedHeaders, Signature",
            )
        access_key_id, day, region, service = _credential(found["credential"])
        return Claim(
            access_key_id=access_key_id,
            day=day,
            region=region,
            service=service,
            stamp=request.headers.get("x-amz-date", ""),
            signed_headers=tuple(found["headers"].split(";")),
            signature=found["signature"],
            expires_seconds=None,
            token=request.headers.get("x-amz-security-token"),
        )
    if query.get("X-Amz-Algorithm") == ALGORITHM:
        access_key_id, day, region, service = _credential(query.get("X-Amz-Credential", ""))
        expires = query.get("X-Amz-Expires", "")
        return Claim(
            access_key_id=access_key_id,
            day=day,
            region=region,
            service=service,
            stamp=query.get("X-Amz-Date", ""),
            signed_headers=tuple(query.get("X-Amz-SignedHeaders", "").split(";")),
            signature=query.get("X-Amz-Signature", ""),
            expires_seconds=int(expires) if expires.isdecimal() else -1,
            token=query.get("X-Amz-Security-Token"),
        )
    return None


def _credential(text: str) -> tuple[str, str, str, str]:
    """Access key id, day, region and service of `Credential`."""
    parts = text.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise Refused(
            "IncompleteSignature", "Credential must be KEY/DAY/REGION/SERVICE/aws4_request"
        )
    return parts[0], parts[1], parts[2], parts[3]


def _verify_v4(request: Request, claim: Claim, secret_of: SecretOf, now: float) -> str:
    _in_time(claim, now)
    secret = _secret(claim.access_key_id, claim.token, secret_of, now)
    if "host" not in claim.signed_headers:
        raise Refused("SignatureDoesNotMatch", "'Host' must be a 'SignedHeader'")
    credentials = Credentials(claim.access_key_id, secret.secret_access_key)
    base = S3SigV4Auth if claim.service in OF_S3 else SigV4Auth
    signer = base(credentials, claim.service, claim.region)
    rebuilt = _rebuilt(request, claim)
    lines = [
        request.method.upper(),
        signer._normalize_url_path(urlsplit(request.target).path or "/"),
        signer.canonical_query_string(rebuilt),
        signer.canonical_headers(rebuilt.headers) + "\n",
        signer.signed_headers(rebuilt.headers),
        _payload_hash(request, claim),
    ]
    to_sign = "\n".join(
        [ALGORITHM, claim.stamp, claim.scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()]
    )
    _same(signer.signature(to_sign, rebuilt), claim.signature)
    return claim.access_key_id


def _rebuilt(request: Request, claim: Claim) -> AWSRequest:
    """The request with the signed headers alone, as botocore's signer wants it."""
    query = urlsplit(request.target).query
    kept = "&".join(p for p in query.split("&") if p and not p.startswith("X-Amz-Signature="))
    path = urlsplit(request.target).path
    rebuilt = AWSRequest(request.method, f"http://local{path}" + (f"?{kept}" if kept else ""))
    for name in claim.signed_headers:
        rebuilt.headers[name] = request.headers.get(name, "")
    rebuilt.context["timestamp"] = claim.stamp
    return rebuilt


def _payload_hash(request: Request, claim: Claim) -> str:
    """The last line of what was signed; a body that is not the one of the hash is refused."""
    declared = request.headers.get("x-amz-content-sha256")
    if claim.expires_seconds is not None and "x-amz-content-sha256" not in claim.signed_headers:
        declared = UNSIGNED_PAYLOAD if claim.service in OF_S3 else None
    if declared is None:
        return hashlib.sha256(request.body).hexdigest() if request.body else EMPTY_SHA256_HASH
    is_hash = re.fullmatch(r"[0-9a-f]{64}", declared)
    if is_hash and hashlib.sha256(request.body).hexdigest() != declared:
        raise Refused(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    return declared


def _in_time(claim: Claim, now: float) -> None:
    try:
        signed = datetime.strptime(claim.stamp, TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused("IncompleteSignature", f"date must be like {TIME}") from None
    if not claim.stamp.startswith(claim.day):
        raise Refused("SignatureDoesNotMatch", "Credential must have the day of the date")
    if claim.expires_seconds is None:
        if abs(now - signed) > CLOCK_SKEW_SECONDS:
            raise Refused(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            )
        return
    if not 0 < claim.expires_seconds <= LONGEST_PRESIGNED_SECONDS:
        raise Refused(
            "AuthorizationQueryParametersError",
            f"X-Amz-Expires must be between 1 and {LONGEST_PRESIGNED_SECONDS} seconds",
        )
    ignored = claim.service in WITHOUT_EXPIRES
    lifetime = CLOCK_SKEW_SECONDS if ignored else claim.expires_seconds
    if now < signed - CLOCK_SKEW_SECONDS or now > signed + lifetime:
        raise Refused("AccessDenied", "Request has expired")


def _verify_v2(request: Request, secret_of: SecretOf, now: float) -> str:
    """A presigned URL of S3 with AWSAccessKeyId, Expires and Signature."""
    query = _query(request)
    access_key_id, expires = query["AWSAccessKeyId"], query.get("Expires", "")
    token = query.get("x-amz-security-token")
    secret = _secret(access_key_id, token, secret_of, now)
    if not expires.isdecimal() or int(expires) < now:
        raise Refused("AccessDenied", "Request has expired")
    headers = HTTPHeaders()
    for name, value in request.headers.items():
        if name in ("content-md5", "content-type") or name.startswith("x-amz-"):
            headers[name] = value
    if token:
        headers["x-amz-security-token"] = token
    signer = _QuerySigner(Credentials(access_key_id, secret.secret_access_key), expires)
    expected = signer.get_signature(request.method, urlsplit(request.target), headers)
    _same(expected, query.get("Signature", ""))
    return access_key_id


class _QuerySigner(HmacV1Auth):  # type: ignore[misc] # botocore has no types
    """Version 2 with the end of the URL's life in the place of the date."""

    def __init__(self, credentials: Credentials, expires: str) -> None:
        super().__init__(credentials)
        self._expires = expires

    def _get_date(self) -> str:
        return self._expires


def _secret(access_key_id: str, token: str | None, secret_of: SecretOf, now: float) -> Secret:
    secret = secret_of(access_key_id)
    if secret is None or not hmac.compare_digest(secret.session_token or "", token or ""):
        raise Refused(
            "InvalidClientTokenId", "The security token included in the request is invalid."
        )
    if secret.expires is not None and now > secret.expires:
        raise Refused("ExpiredToken", "The security token included in the request is expired")
    return secret


def _same(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise Refused(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method.",
        )


def _query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.target).query, keep_blank_values=True))


def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _meet_policy(policy: str, form: Mapping[str, str], now: float) -> None:
    """Refused where the policy is over or the form does not do what it says."""
    try:
        document: Any = json.loads(base64.b64decode(policy))
        ends = datetime.fromisoformat(document["expiration"]).timestamp()
        conditions = document["conditions"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise Refused("InvalidPolicyDocument", "Invalid Policy: it is not a policy") from None
    if now > ends:
        raise Refused("AccessDenied", "Invalid according to Policy: Policy expired.")
    for condition in conditions:
        if not _holds(condition, form):
            text = json.dumps(condition)
            raise Refused(
                "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {text}"
            )


def _holds(condition: Any, form: Mapping[str, str]) -> bool:
    """Whether one condition of a form's policy is met; the size is S3's to check."""
    if isinstance(condition, dict):
        return all(form.get(name.lower()) == value for name, value in condition.items())
    if not isinstance(condition, list) or len(condition) != 3:
        return False
    operator, name, wanted = condition
    if operator == "content-length-range":
        return True
    value = form.get(str(name).lstrip("$").lower(), "")
    return value == wanted if operator == "eq" else value.startswith(str(wanted))
