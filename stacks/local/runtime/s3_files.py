"""Objects of S3 to files of a job and back, the way SageMaker lays them out."""

import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from pipelines.toolkit import archives


class TransferFailed(Exception):
    """Data could not be brought to a job or away from it; the text is a FailureReason."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise TransferFailed(f"ClientError: an S3 URI must look like s3://bucket/key, got {uri!r}")
    return parts.netloc, parts.path.lstrip("/")


def download(s3: Any, uri: str, folder: Path, shard: int = 0, shards: int = 1) -> int:
    """Bring everything under a prefix, or one object, into a folder; the number of files.

    Of several shards, every so-manieth object is brought. Default: all are.
    """
    bucket, prefix = split_uri(uri)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for entry in (entry for page in pages for entry in page.get("Contents", ())):
            if entry["Key"].endswith("/"):
                continue
            count += 1
            if count % shards != shard:
                continue
            target = _inside(folder, relative_key(entry["Key"], prefix))
            target.parent.mkdir(parents=True, exist_ok=True)
            fetch(s3, bucket, entry["Key"], target)
    except ClientError as error:
        raise TransferFailed(f"ClientError: Data download failed: {error}: {uri}") from error
    if not count:
        raise TransferFailed(
            f"ClientError: Data download failed: no S3 objects found under S3 URL {uri!r}"
        )
    return count


def fetch(s3: Any, bucket: str, key: str, target: Path) -> None:
    """One object into one file."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    with target.open("wb") as out:
        for chunk in body.iter_chunks(1 << 20):
            out.write(chunk)


def upload(s3: Any, folder: Path, uri: str) -> int:
    """Put every file of a folder under a prefix; the number of files."""
    bucket, prefix = split_uri(uri)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        name = path.relative_to(folder).as_posix()
        put(s3, path, bucket, f"{prefix.rstrip('/')}/{name}" if prefix else name)
    return len(files)


def put(s3: Any, path: Path, bucket: str, key: str) -> None:
    """One file into one object."""
    try:
        with path.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    except ClientError as error:
        raise TransferFailed(
            f"ClientError: Failed to upload output to s3://{bucket}/{key}: {error}"
        ) from error


def pack(folder: Path, archive: Path) -> None:
    """The content of a folder as a .tar.gz."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)


def unpack(archive: Path, folder: Path) -> None:
    """A .tar.gz into a folder of its own; one that must not be unpacked is refused."""
    try:
        archives.unpack(archive, folder)
    except archives.Refused as error:
        raise TransferFailed(f"ClientError: {error}") from error


def relative_key(key: str, prefix: str) -> str:
    """Where an object of a prefix goes: below the prefix taken as a folder, else by its name."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[len(prefix.rpartition("/")[0]) :].lstrip("/")


def _inside(folder: Path, name: str) -> Path:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise TransferFailed(f"ClientError: Data download failed: {name!r} leaves its folder")
    return target
