"""Requests that nobody but the owner of a home may make, as data: what is sent, and how it ends.

Each returns the HTTP status it was answered with, or `REFUSED` where there was no answer at all.
"""

import http.client
import json
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import boto3
import grpc
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from stacks.local.runtime.keys import Keys

REFUSED = 0
BUCKET = "plinth-test"
JOB = {
    "ProcessingJobName": "attack",
    "RoleArn": "arn:aws:iam::123456789012:role/plinth-test",
    "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    },
}
"""A processing job runs a program of the caller's as the person who started the cloud."""

STRANGER = Credentials("AKIAQQQQQQQQQQQQQQQQ", "another-homes-secret")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A local cloud and what of it listens."""

    url: str
    keys: Keys
    provider_port: int

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def owner(self) -> Credentials:
        return Credentials(self.keys.access_key_id, self.keys.secret_access_key)

    def client(self, service: str, **config: Any) -> Any:
        """A client with the owner's keys."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.keys.access_key_id,
            aws_secret_access_key=self.keys.secret_access_key,
            config=Config(s3={"addressing_style": "path"}, **config),
        )


def raw(port: int, text: str, body: bytes = b"", host: str = "127.0.0.1") -> int:
    """Send these lines as they are; the status of the answer."""
    try:
        with socket.create_connection((host, port), timeout=10) as wire:
            wire.sendall(text.replace("\n", "\r\n").encode() + b"\r\n" + body)
            first = wire.makefile("rb").readline()
    except OSError:
        return REFUSED
    return int(first.split()[1]) if first.startswith(b"HTTP/") else REFUSED


def ask(
    target: Target,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes = b"",
    to: str = "",
) -> int:
    """Send a request with exactly these headers; the status of the answer."""
    return answer(to or target.url, method, path, headers or {}, body)[0]


def answer(
    url: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
) -> tuple[int, Mapping[str, str]]:
    """Status and headers that a request is answered with."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port or 0, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": at.netloc, "Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    try:
        connection.endheaders(body)
        got = connection.getresponse()
        got.read()
        return got.status, {name.lower(): value for name, value in got.getheaders()}
    except OSError:
        return REFUSED, {}
    finally:
        connection.close()


def signed(
    target: Target,
    credentials: Credentials,
    *,
    method: str = "POST",
    path: str = "/",
    body: bytes = b"{}",
    service: str = "sagemaker",
    headers: Mapping[str, str] | None = None,
    host: str = "",
    at: datetime | None = None,
) -> dict[str, str]:
    """Headers of a request that these credentials signed."""
    request = AWSRequest(method, f"http://{host or target.host}{path}", data=body)
    for name, value in {"Host": host or target.host, **(headers or {})}.items():
        request.headers[name] = value
    signer = SigV4Auth(credentials, service, "us-east-1")
    if at is None:
        signer.add_auth(request)
    else:
        request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
        request.headers["X-Amz-Date"] = request.context["timestamp"]
        to_sign = signer.string_to_sign(request, signer.canonical_request(request))
        signature = signer.signature(to_sign, request)
        names = signer.signed_headers(signer.headers_to_sign(request))
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
    return dict(request.headers.items())


START_JOB = {
    "X-Amz-Target": "SageMaker.CreateProcessingJob",
    "Content-Type": "application/x-amz-json-1.1",
}
BODY = json.dumps(JOB).encode()
"""What starts a job; a second one of the name is refused, but not with 403."""

LIST = {"X-Amz-Target": "SageMaker.ListEndpoints", "Content-Type": "application/x-amz-json-1.1"}


def job(target: Target, headers: Mapping[str, str]) -> int:
    """Start a job with these headers beside those that name the operation."""
    return ask(target, headers={**START_JOB, **headers}, body=BODY)


def job_as(target: Target, credentials: Credentials, **more: Any) -> int:
    """Start a job with a signature."""
    made = signed(target, credentials, body=BODY, headers=START_JOB, **more)
    return ask(target, headers=made, body=BODY)


def presigned(target: Target, path: str, method: str = "GET", age_seconds: int = 0) -> str:
    """Path and query of a presigned URL (Version 4) of S3, made some seconds ago."""
    request = AWSRequest(method, target.url + path)
    signer = S3SigV4QueryAuth(target.owner, "s3", "us-east-1", expires=60)
    when = datetime.now(UTC) - timedelta(seconds=age_seconds)
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    signature = signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}&X-Amz-Signature={signature}"


def form(fields: Mapping[str, str], content: bytes = b"x") -> tuple[dict[str, str], bytes]:
    """Headers and body of a form upload."""
    lines = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = lines + file + content + b"\r\n--b--\r\n"
    return {"Content-Type": "multipart/form-data; boundary=b"}, body


def upload(target: Target, key: str, signed_key: str | None) -> int:
    """Upload by a form whose policy is for `signed_key`; without one, by a form without policy."""
    fields: dict[str, str] = {"key": key}
    if signed_key is not None:
        s3 = target.client("s3", signature_version="s3v4")
        fields = {**s3.generate_presigned_post(BUCKET, signed_key)["fields"], "key": key}
    headers, body = form(fields)
    return ask(target, path=f"/{BUCKET}", headers=headers, body=body)


def call_provider(port: int, environment: Mapping[str, str]) -> int:
    """Ask the provider who it is, from a process with this environment."""
    code = (
        "import sys; from tests.kits.attacks import ask_provider; "
        "print(ask_provider(int(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(port)],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def ask_provider(port: int) -> int:
    """Ask the provider who it is: 200, or 403 where this process may not know."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary("/pulumirpc.ResourceProvider/GetPluginInfo")
        try:
            method(b"", timeout=10)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
            return 403
        return 200


def tracking_login(user: str, password: str) -> dict[str, str]:
    """The header of HTTP's basic authentication."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def _session_without_token(target: Target) -> int:
    made = target.client("sts").get_session_token()["Credentials"]
    return job_as(target, Credentials(made["AccessKeyId"], made["SecretAccessKey"]))


def _deleted_key(target: Target) -> int:
    iam = target.client("iam")
    user = f"left-{token_hex(4)}"
    iam.create_user(UserName=user)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])
    return job_as(target, Credentials(made["AccessKeyId"], made["SecretAccessKey"]))


def _tampered_body(target: Target) -> int:
    headers = signed(target, target.owner, body=b'{"MaxResults": 1}', headers=START_JOB)
    return ask(target, headers=headers | {"Content-Length": str(len(BODY))}, body=BODY)


def _presigned_v2_for_another_path(target: Target) -> int:
    url = target.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "a"}
    )
    parts = urlsplit(url)
    return ask(target, "GET", f"/{BUCKET}/b?{parts.query}")


def _upgrade(target: Target) -> int:
    return raw(
        target.port,
        f"GET / HTTP/1.1\nHost: {target.host}\nUpgrade: websocket\nConnection: Upgrade\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n"
        f"Origin: http://{target.host}\n",
    )


def _twice(target: Target) -> int:
    lines = "".join(f"{n}: {v}\n" for n, v in START_JOB.items())
    return raw(
        target.port,
        f"POST / HTTP/1.1\nHost: {target.host}\nHost: evil.example\n{lines}"
        f"Content-Length: {len(BODY)}\n",
        BODY,
    )


def _moto(path: str, method: str = "POST") -> Callable[[Target], int]:
    def sent(target: Target) -> int:
        made = signed(target, target.owner, method=method, path=path, body=b"", service="s3")
        return ask(target, method, path, made)

    return sent


def _fake(access_key_id: str) -> dict[str, str]:
    day = datetime.now(UTC).strftime("%Y%m%d")
    return {
        "X-Amz-Date": f"{day}T000000Z",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access_key_id}/{day}/us-east-1/sagemaker/"
        f"aws4_request, SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
    }


EXAMPLE_KEY = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY")
"""In AWS's documents, and what moto gives out as a session."""

ENDPOINT: Mapping[str, Callable[[Target], int]] = {
    "no signature": lambda t: job(t, {}),
    "a made-up signature": lambda t: job(t, _fake("local")),
    "a made-up signature for the owner's key": lambda t: job(t, _fake(t.keys.access_key_id)),
    "another home's keys": lambda t: job_as(t, STRANGER),
    "the owner's key id with another secret": lambda t: job_as(
        t, Credentials(t.keys.access_key_id, STRANGER.secret_key)
    ),
    "the example key of AWS's documents": lambda t: job_as(t, EXAMPLE_KEY),
    "a session's key without its token": _session_without_token,
    "a deleted key of a user": _deleted_key,
    "a signature of an hour ago": lambda t: job_as(
        t, t.owner, at=datetime.now(UTC) - timedelta(hours=1)
    ),
    "a signature of another body": _tampered_body,
    "a signature for another path": lambda t: ask(
        t,
        "GET",
        f"/{BUCKET}/b",
        signed(t, t.owner, method="GET", path=f"/{BUCKET}/a", body=b"", service="s3"),
    ),
    "a foreign Host": lambda t: job(t, {"Host": f"evil.example:{t.port}"}),
    "a foreign Host, signed": lambda t: job_as(t, t.owner, host=f"evil.example:{t.port}"),
    "localhost.evil.example": lambda t: job_as(t, t.owner, host=f"localhost.evil.example:{t.port}"),
    "an address as the start of a name": lambda t: job_as(
        t, t.owner, host=f"127.0.0.1.evil.example:{t.port}"
    ),
    "another port in Host": lambda t: job_as(t, t.owner, host="127.0.0.1:1"),
    "no port in Host": lambda t: job_as(t, t.owner, host="localhost"),
    "HTTP/1.0 without Host": lambda t: raw(
        t.port,
        f"POST / HTTP/1.0\nX-Amz-Target: SageMaker.CreateProcessingJob\n"
        f"Content-Length: {len(BODY)}\n",
        BODY,
    ),
    "two Hosts": _twice,
    "a foreign address in the request line": lambda t: raw(
        t.port, f"GET http://evil.example/ HTTP/1.1\nHost: {t.host}\n"
    ),
    "a foreign Origin, signed": lambda t: ask(
        t,
        headers={
            **signed(t, t.owner, body=BODY, headers=START_JOB),
            "Origin": "https://evil.example",
        },
        body=BODY,
    ),
    "Origin null, signed": lambda t: ask(
        t,
        headers={**signed(t, t.owner, body=BODY, headers=START_JOB), "Origin": "null"},
        body=BODY,
    ),
    "an Origin of another port, signed": lambda t: ask(
        t,
        headers={
            **signed(t, t.owner, body=BODY, headers=START_JOB),
            "Origin": "http://127.0.0.1:1",
        },
        body=BODY,
    ),
    "a simple request across origins": lambda t: ask(
        t,
        headers={
            "Content-Type": "text/plain",
            "Origin": "https://evil.example",
            "X-Amz-Target": START_JOB["X-Amz-Target"],
        },
        body=BODY,
    ),
    "a simple request without Origin": lambda t: ask(
        t,
        headers={"Content-Type": "text/plain"},
        body=b"Action=CreateUser&UserName=evil",
    ),
    "a posted form": lambda t: ask(
        t,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=b"Action=CreateUser&UserName=evil&Version=2010-05-08",
    ),
    "a call that AWS takes unsigned, for another service": lambda t: ask(
        t,
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Amz-Target": "DynamoDB_20120810.ListTables",
        },
        body=b"Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::123456789012:role/x"
        b"&RoleSessionName=attack&WebIdentityToken=x&Version=2011-06-15",
    ),
    "two calls in one, of which AWS takes one unsigned": lambda t: ask(
        t,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=b"Action=AssumeRoleWithWebIdentity&Action=ListUsers&Version=2011-06-15",
    ),
    "a form upload without a policy": lambda t: upload(t, "evil", None),
    "a form upload for another key": lambda t: upload(t, "evil", "good"),
    "a preflight": lambda t: ask(
        t,
        "OPTIONS",
        "/",
        {
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-amz-target",
        },
    ),
    "a WebSocket": _upgrade,
    "presigned for another path": lambda t: ask(
        t, "GET", presigned(t, f"/{BUCKET}/a").replace("/a?", "/b?")
    ),
    "presigned for another method": lambda t: ask(t, "DELETE", presigned(t, f"/{BUCKET}/a")),
    "presigned and over": lambda t: ask(t, "GET", presigned(t, f"/{BUCKET}/a", age_seconds=3600)),
    "presigned with a longer life": lambda t: ask(
        t, "GET", presigned(t, f"/{BUCKET}/a").replace("Expires=60", "Expires=600")
    ),
    "presigned (Version 2) for another path": _presigned_v2_for_another_path,
    "moto's reset": lambda t: ask(t, "POST", "/moto-api/reset"),
    "moto's reset, signed": _moto("/moto-api/reset"),
    "moto's data, signed": _moto("/moto-api/data.json", "GET"),
    "moto's seed, signed and hidden": _moto("/%6doto-api/seed?a=1"),
    "moto's configuration behind two slashes, signed": _moto("//moto-api/config"),
    "IPv6": lambda t: raw(t.port, f"GET / HTTP/1.1\nHost: [::1]:{t.port}\n", host="::1"),
}
"""Attacks on the AWS endpoint."""
