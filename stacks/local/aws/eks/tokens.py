"""Whose a token of `aws eks get-token` is: a presigned GetCallerIdentity, bound to one cluster.

The checks and their limits are those of the server that runs beside EKS's API server
(kubernetes-sigs/aws-iam-authenticator, pkg/token/token.go). Nothing is sent: STS is this process.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qsl, urlsplit

from stacks.local.aws.signatures import Refused, Request, SecretOf, service_of, verify
from stacks.local.kubernetes.login import CLUSTER_HEADER, PREFIX

LONGEST_BYTES = 4 * 1024
LONGEST_EXPIRES_SECONDS = 900
PARAMETERS = frozenset(
    {
        "action",
        "version",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
STS = re.compile(r"sts(\.[a-z]{2}(-[a-z]+)+-\d)?\.amazonaws\.com")
"""Global and regional endpoints of the partition `aws` (AWS General Reference, STS)."""


def signer(
    token: str,
    cluster: str,
    endpoint: str,
    secret_of: SecretOf,
    now: Callable[[], float] = time.time,
) -> str:
    """The access key id that made a token for a cluster; Refused, with the reason, otherwise.

    `endpoint`: URL of this cloud's own AWS API, which stands for STS as well.
    """
    url = _url(token)
    _check_place(url, endpoint)
    _check_parameters(url)
    request = Request(
        method="GET",
        target=f"/?{url.query}",
        headers={"host": url.netloc, CLUSTER_HEADER: cluster},
        body=b"",
    )
    if service_of(request) != "sts":
        raise _malformed("it must be signed for sts")
    return verify(request, secret_of, now)


def _url(token: str) -> SplitResult:
    if len(token) > LONGEST_BYTES:
        raise _malformed("token is too large")
    if not token.startswith(PREFIX):
        raise _malformed(f"token is missing expected {PREFIX!r} prefix")
    text = token.removeprefix(PREFIX)
    try:
        padded = text + "=" * (-len(text) % 4)
        return urlsplit(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError):
        raise _malformed("it is no URL in base64") from None


def _check_place(url: SplitResult, endpoint: str) -> None:
    """Refused for any host but STS's: a signature for another one proves nothing."""
    is_own = f"{url.scheme}://{url.netloc}" == endpoint
    if not is_own and (url.scheme != "https" or not STS.fullmatch(url.netloc)):
        raise _malformed(f"unexpected hostname {url.netloc!r} in pre-signed URL")
    if url.path not in ("", "/"):
        raise _malformed("unexpected path in pre-signed URL")


def _check_parameters(url: SplitResult) -> None:
    given = [(name.lower(), value) for name, value in parse_qsl(url.query, keep_blank_values=True)]
    values = dict(given)
    for name in values:
        if name not in PARAMETERS:
            raise _malformed(f"query parameter {name!r} is not expected")
    if len(values) < len(given):
        raise _malformed("query parameter with multiple values not supported")
    if values.get("action") != "GetCallerIdentity":
        raise _malformed("unexpected action parameter in pre-signed URL")
    if CLUSTER_HEADER not in values.get("x-amz-signedheaders", "").lower().split(";"):
        raise _malformed(f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL")
    expires = values.get("x-amz-expires", "")
    if not expires.isdecimal() or int(expires) > LONGEST_EXPIRES_SECONDS:
        raise _malformed(f"invalid X-Amz-Expires parameter in pre-signed URL: {expires!r}")


def _malformed(reason: str) -> Refused:
    return Refused("Unauthorized", f"input token was not properly formatted: {reason}", status=401)
