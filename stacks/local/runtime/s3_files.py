"""Objects of S3 to files of a job and back, the way SageMaker lays them out."""

import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from pipelines.toolkit import archives
from stacks.local.runtime import left


class TransferFailed(Exception):
    """Data could not be brought to a job or away from it; the text is a FailureReason."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise TransferFailed(f"ClientError: an S3 URI must look like s3://bucket/key, got {uri!r}")
    return parts.netloc, parts.path.lstrip("/")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One object that a job reads."""

    bucket: str
    key: str
    name: str
    """Where it goes below the folder of the input."""

    @property
    def shown(self) -> str:
        return f"{self.bucket}/{self.key}"


def sources(s3: Any, place: Mapping[str, Any]) -> list[Source]:
    """The objects of a data source: all under a prefix, or what a manifest lists (S3DataSource,
    ProcessingS3Input and TransformS3DataSource, API reference); TransferFailed where none is."""
    uri = place["S3Uri"]
    bucket, key = split_uri(uri)
    try:
        if place.get("S3DataType") == "ManifestFile":
            return _of_manifest(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        found = _under(s3, bucket, key)
    except ClientError as error:
        raise TransferFailed(f"ClientError: Data download failed: {error}: {uri}") from error
    if not found:
        raise TransferFailed(
            f"ClientError: Data download failed: no S3 objects found under S3 URL {uri!r}"
        )
    return found


def _under(s3: Any, bucket: str, prefix: str) -> list[Source]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    return [
        Source(bucket=bucket, key=key, name=relative_key(key, prefix))
        for key in keys
        if not key.endswith("/")
    ]


def _of_manifest(content: bytes) -> list[Source]:
    """`[{"prefix": "s3://bucket/some/"}, "relative/path", ...]`."""
    try:
        first, *paths = json.loads(content)
        bucket, prefix = split_uri(first["prefix"])
        return [Source(bucket=bucket, key=f"{prefix}{path}", name=str(path)) for path in paths]
    except (ValueError, TypeError, KeyError) as error:
        raise TransferFailed(f"ClientError: the manifest cannot be read: {error!r}") from error


def download(
    s3: Any, place: Mapping[str, Any], folder: Path, shard: int = 0, shards: int = 1
) -> None:
    """Bring the objects of a data source into a folder.

    Of several shards, every so-manieth object is brought. Default: all are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources(s3, place)[shard::shards]:
        target = _inside(folder, source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        bring(s3, source, target)


def bring(s3: Any, source: Source, target: Path) -> None:
    """One object that a job reads into one file."""
    try:
        fetch(s3, source.bucket, source.key, target)
    except ClientError as error:
        raise TransferFailed(
            f"ClientError: Data download failed: {error}: s3://{source.shown}"
        ) from error


def fetch(s3: Any, bucket: str, key: str, target: Path) -> None:
    """One object into one file."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    with target.open("wb") as out:
        for chunk in body.iter_chunks(1 << 20):
            out.write(chunk)


def upload(s3: Any, root: Path, folder: Path, uri: str) -> None:
    """Put every file of a folder, which a program left below a root, under a prefix."""
    bucket, prefix = split_uri(uri)
    folder = Path(os.path.realpath(folder))
    for path in left.files(root, folder):
        name = path.relative_to(folder).as_posix()
        put(s3, path, bucket, f"{prefix.rstrip('/')}/{name}" if prefix else name)


def put(s3: Any, path: Path, bucket: str, key: str) -> None:
    """One file into one object."""
    try:
        with path.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    except (ClientError, UnicodeEncodeError) as error:  # a key is text in UTF-8
        raise TransferFailed(
            f"ClientError: Failed to upload output to {f's3://{bucket}/{key}'!r}: {error}"
        ) from error


def pack(folders: Sequence[Path], archive: Path) -> bool:
    """The content of folders, as if it lay in one, as a .tar.gz; whether there is any."""
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in paths:
            tar.add(path, arcname=path.name)
    return bool(paths)


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
