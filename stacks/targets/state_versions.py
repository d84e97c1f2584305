"""The states of an environment in an account: versions of objects in its bucket.

Keys are those of Pulumi's backend for object stores (pulumi/pulumi, pkg/backend/diy).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from infra.errors import UserError
from stacks.checkpoint import Damaged, resources_of
from stacks.targets.aws_clients import Clients

READ_AT_MOST = 10
"""Older versions that are looked at until one is whole."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A state of a stack as one update left it."""

    id: str
    content: bytes
    written: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Place:
    """The object that holds a stack's state."""

    bucket: str
    key: str


def place(backend_url: str, stack: str) -> Place:
    """Where a stack's state lies; UserError where that is no bucket."""
    url = urlsplit(backend_url)
    if url.scheme != "s3":
        raise UserError(
            f"the backend of {stack} must be a bucket with versions, got {backend_url}",
            fix="type `pulumi stack export --version N` and `pulumi stack import`",
        )
    prefix = url.path.strip("/")
    key = f".pulumi/stacks/plinth/{stack}.json"
    return Place(url.netloc, f"{prefix}/{key}" if prefix else key)


def versions(clients: Clients, where: Place) -> Iterator[Version]:
    """Of a state, the newest first; a deleted one has only those from before."""
    s3 = clients("s3")
    answer = s3.list_object_versions(Bucket=where.bucket, Prefix=where.key)
    listed = [one for one in answer.get("Versions", []) if one["Key"] == where.key]
    for one in listed[:READ_AT_MOST]:
        got = s3.get_object(Bucket=where.bucket, Key=where.key, VersionId=one["VersionId"])
        yield Version(
            id=one["VersionId"],
            content=got["Body"].read(),
            written=one["LastModified"].timestamp(),
        )


def current(clients: Clients, where: Place) -> bytes | None:
    """The state as an engine would read it."""
    try:
        content: bytes = clients("s3").get_object(Bucket=where.bucket, Key=where.key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return content


def whole(clients: Clients, where: Place, stack: str) -> Iterator[Version]:
    """Versions that an engine may act on."""
    for version in versions(clients, where):
        with suppress(Damaged):
            resources_of(version.content, stack)
            yield version


def damage(clients: Clients, where: Place, stack: str) -> str | None:
    """What is wrong with a state; None where an engine may act on it.

    A whole state that somebody else put there is not told from one that an engine wrote.
    """
    content = current(clients, where)
    if content is None:
        return "no object" if next(whole(clients, where, stack), None) else None
    try:
        resources_of(content, stack)
    except Damaged as damaged:
        return str(damaged)
    return None


def restore(clients: Clients, where: Place, stack: str) -> Version:
    """Make the newest whole version the current one; UserError where there is none."""
    found = next(whole(clients, where, stack), None)
    if found is None:
        raise UserError(
            f"s3://{where.bucket}/{where.key} must have a whole version, got none",
            fix="adopt what exists: `plinth adopt`",
        )
    source = {"Bucket": where.bucket, "Key": where.key, "VersionId": found.id}
    clients("s3").copy_object(Bucket=where.bucket, Key=where.key, CopySource=source)
    return found
