"""moto's S3 with what it lacks: digests that are compared, limits, and what a new bucket has.

Bucket policies are IAM's to decide, at the gate: moto denies a request when the condition of a
statement does *not* hold (moto 5.2.5, `IAMPolicyStatement.is_action_permitted`), and asks nobody
who the caller is. Source of errors: Amazon S3 API reference, "Error responses".
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stacks.local.aws.signatures import Refused

KEY_BYTES = 1024
METADATA_BYTES = 2048
LAST_PART = 10_000
ENFORCED = "BucketOwnerEnforced"
OWNERS_ACLS = ("", "bucket-owner-full-control")
"""ACLs that say no more than that the bucket's owner owns the object."""

DEFAULT_ENCRYPTION = {
    "Rule": {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": "false",
    }
}
"""Source: S3 user guide, "Setting default server-side encryption behavior": every bucket has it."""

NAME = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
RESERVED = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3)")
"""Source: S3 user guide, "General purpose bucket naming rules"."""


def _crc32(body: bytes) -> bytes:
    return binascii.crc32(body).to_bytes(4, "big")


DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    "CRC32": _crc32,
    "SHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
}
"""Checksums that are compared. CRC32C and CRC64NVME want a library of C (awscrt)."""


def install() -> None:
    """Let moto's buckets have no opinion, and its answers those of S3."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket, FakeMultipart, S3Backend
    from moto.s3.responses import S3Response

    def permission(bucket: Any, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL

    FakeBucket.get_permission = permission
    if hasattr(S3Response.put_object, "__wrapped__"):
        return
    S3Backend.create_bucket = _created(S3Backend.create_bucket)
    S3Backend.delete_bucket_encryption = _encrypted_anew
    S3Backend.complete_multipart_upload = _known_upload(S3Backend.complete_multipart_upload)
    S3Backend.upload_part_copy = _known_upload(S3Backend.upload_part_copy)
    FakeMultipart.complete = _completed(FakeMultipart.complete)
    S3Response.put_object = _put(S3Response.put_object)
    S3Response.upload_part = _part(S3Response.upload_part)
    S3Response.put_object_acl = _acl(S3Response.put_object_acl)
    S3Response.get_object = _got(S3Response.get_object)
    S3Response.head_object = _headed(S3Response.head_object)
    S3Response._complete_multipart_body = _in_order(S3Response._complete_multipart_body)


def _created(own: Any) -> Any:
    """A bucket whose name S3 allows, private from the first moment on.

    Source: S3 user guide, "Default settings for new S3 buckets FAQ" (ACLs are off, all four
    settings of Block Public Access are on since April 2023).
    """

    @functools.wraps(own)
    def create_bucket(backend: Any, bucket_name: str, *more: Any, **named: Any) -> Any:
        from moto.s3.models import PublicAccessBlock

        if not is_bucket_name(bucket_name):
            raise Refused("InvalidBucketName", "The specified bucket is not valid.", status=400)
        bucket = own(backend, bucket_name, *more, **named)
        bucket.encryption = DEFAULT_ENCRYPTION
        bucket.ownership_rule = ENFORCED
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        return bucket

    return create_bucket


def is_bucket_name(name: str) -> bool:
    """Whether a general purpose bucket may have this name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return NAME.fullmatch(name) is not None and RESERVED.fullmatch(name) is None
    return False


def _encrypted_anew(backend: Any, bucket_name: str) -> None:
    """DeleteBucketEncryption resets a bucket to encryption with S3's own keys."""
    backend.get_bucket(bucket_name).encryption = DEFAULT_ENCRYPTION


def _put(own: Any) -> Any:
    @functools.wraps(own)
    def put_object(response: Any) -> Any:
        _check_key(response.parse_key_name())
        _check_metadata(response.headers)
        _check_acl(response)
        _check_digests(response)
        return own(response)

    return put_object


def _part(own: Any) -> Any:
    @functools.wraps(own)
    def upload_part(response: Any) -> Any:
        bucket = response.backend.get_bucket(response.bucket_name)
        _check_upload(bucket, response._get_param("uploadId"))
        if not 1 <= response._get_int_param("partNumber") <= LAST_PART:
            told = f"Part number must be an integer between 1 and {LAST_PART}, inclusive"
            raise Refused("InvalidArgument", told, status=400)
        _check_digests(response)
        return own(response)

    return upload_part


def _known_upload(own: Any) -> Any:
    @functools.wraps(own)
    def of_upload(backend: Any, bucket_name: str, upload: str, *more: Any, **named: Any) -> Any:
        _check_upload(backend.get_bucket(bucket_name), upload)
        return own(backend, bucket_name, upload, *more, **named)

    return of_upload


def _completed(own: Any) -> Any:
    """Keep how long each part is: they can be asked for one by one."""

    @functools.wraps(own)
    def complete(upload: Any, body: Any) -> Any:
        parts = list(body)
        made = own(upload, iter(parts))
        upload.part_sizes = [upload.parts[number].contentsize for number, _ in parts]
        return made

    return complete


def _in_order(own: Any) -> Any:
    @functools.wraps(own)
    def complete_multipart_body(response: Any, body: bytes) -> Any:
        from moto.s3.exceptions import InvalidPartOrder

        parts = list(own(response, body))
        numbers = [number for number, _ in parts]
        if numbers != sorted(set(numbers)):
            raise InvalidPartOrder
        return iter(parts)

    return complete_multipart_body


def _acl(own: Any) -> Any:
    @functools.wraps(own)
    def put_object_acl(response: Any) -> Any:
        _check_acl(response)
        return own(response)

    return put_object_acl


def _got(own: Any) -> Any:
    """GetObject of one part of an object."""

    @functools.wraps(own)
    def get_object(response: Any) -> Any:
        number = response._get_int_param("partNumber")
        if number is None:
            return own(response)
        key, _ = response._get_key()
        start, end, count = part_of(key, number)
        status, headers, body = own(response)
        if status not in (200, 206):
            return status, headers, body
        headers["content-range"] = f"bytes {start}-{end - 1}/{key.size}"
        if count:
            headers["x-amz-mp-parts-count"] = str(count)
        return 206, headers, body[start:end]

    return get_object


def _headed(own: Any) -> Any:
    """HeadObject of one part of an object."""

    @functools.wraps(own)
    def head_object(
        response: Any, bucket_name: str, query: Any, key_name: str, headers: Any
    ) -> Any:
        (asked,) = query.get("partNumber", [""])[:1]
        if not asked.isdigit():
            return own(response, bucket_name, query, key_name, headers)
        version = query.get("versionId", [None])[0]
        key = response.backend.head_object(bucket_name, key_name, version)
        if key is not None:
            start, end, count = part_of(key, int(asked))
        whole = {name: value for name, value in query.items() if name != "partNumber"}
        status, told, body = own(response, bucket_name, whole, key_name, headers)
        if status != 200 or key is None:
            return status, told, body
        told["content-range"] = f"bytes {start}-{end - 1}/{key.size}"
        told["content-length"] = str(end - start)
        if count:
            told["x-amz-mp-parts-count"] = str(count)
        return 206, told, body

    return head_object


def part_of(key: Any, number: int) -> tuple[int, int, int]:
    """First byte, byte after the last, and how many parts: 0 for an object that came whole."""
    sizes: Sequence[int] = getattr(key.multipart, "part_sizes", ()) if key.multipart else ()
    if not 1 <= number <= max(len(sizes), 1):
        told = "The requested partnumber is not satisfiable"
        raise Refused("InvalidPartNumber", told, status=416)
    if not sizes:
        return 0, key.size, 0
    start = sum(sizes[: number - 1])
    return start, start + sizes[number - 1], len(sizes)


def _check_upload(bucket: Any, upload: str) -> None:
    from moto.s3.exceptions import NoSuchUpload

    if upload not in bucket.multiparts:
        raise NoSuchUpload(upload_id=upload)


def _check_key(key: str) -> None:
    if len(key.encode()) > KEY_BYTES:
        raise Refused("KeyTooLongError", "Your key is too long", status=400)


def _check_metadata(headers: Any) -> None:
    """Source: S3 user guide, "User-defined object metadata": names and values, 2 KB."""
    mark = "x-amz-meta-"
    size = sum(
        len(name) - len(mark) + len(str(value).encode())
        for name, value in headers.items()
        if name.lower().startswith(mark)
    )
    if size > METADATA_BYTES:
        told = "Your metadata headers exceed the maximum allowed metadata size"
        raise Refused("MetadataTooLarge", told, status=400)


def _check_acl(response: Any) -> None:
    """Source: S3 user guide, "Controlling ownership of objects and disabling ACLs"."""
    bucket = response.backend.get_bucket(response.bucket_name)
    acl = response.headers.get("x-amz-acl", "")
    granted = any(name.lower().startswith("x-amz-grant-") for name in dict(response.headers))
    if bucket.ownership_rule == ENFORCED and (granted or acl not in OWNERS_ACLS):
        told = "The bucket does not allow ACLs"
        raise Refused("AccessControlListNotSupported", told, status=400)


def _check_digests(response: Any) -> None:
    """Compare what the caller says of the body with the body."""
    body, headers = response.body or b"", response.headers
    if isinstance(body, str):
        body = body.encode()
    if told := headers.get("Content-Md5"):
        digest = _decoded(told)
        if digest is None or len(digest) != 16:
            told = "The Content-MD5 you specified was invalid."
            raise Refused("InvalidDigest", told, status=400)
        if digest != hashlib.md5(body, usedforsecurity=False).digest():
            told = "The Content-MD5 you specified did not match what we received."
            raise Refused("BadDigest", told, status=400)
    for name, compute in DIGESTS.items():
        header = f"x-amz-checksum-{name.lower()}"
        told = headers.get(header) or _trailer(response, header)
        if not told:
            continue
        computed = compute(body)
        digest = _decoded(told)
        if digest is None or len(digest) != len(computed):
            raise Refused("InvalidRequest", f"Value for {header} header is invalid.", status=400)
        if digest != computed:
            told = f"The {name} you specified did not match the calculated checksum."
            raise Refused("BadDigest", told, status=400)


def _trailer(response: Any, header: str) -> str:
    """A checksum after a body that comes in chunks."""
    if header not in str(response.headers.get("x-amz-trailer", "")).lower():
        return ""
    tail = (response.raw_body or b"")[-512:]
    found = re.search(rb"(?:^|\n)" + header.encode() + rb":\s*([A-Za-z0-9+/=]+)", tail)
    return found[1].decode() if found else ""


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
