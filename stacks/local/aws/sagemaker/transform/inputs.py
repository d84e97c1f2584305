"""The objects that a transform job reads, and where the answers to each go.

Source: TransformS3DataSource and TransformOutput, API reference: everything under a prefix, or what
a manifest lists; the output has the input's name with `.out` behind it, in the same subfolder.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError

from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.runtime.s3_files import TransferFailed, fetch, relative_key, split_uri


@dataclass(frozen=True, kw_only=True)
class Source:
    """One object."""

    bucket: str
    key: str
    name: str
    """What its output is called, without `.out`."""

    @property
    def shown(self) -> str:
        return f"{self.bucket}/{self.key}"


def sources(s3: Any, data: Request) -> list[Source]:
    """The objects of a TransformInput's data source; TransferFailed where there are none."""
    place = data["DataSource"]["S3DataSource"]
    bucket, key = split_uri(place["S3Uri"])
    try:
        if place["S3DataType"] == "ManifestFile":
            return _of_manifest(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        found = _under(s3, bucket, key)
    except ClientError as error:
        raise TransferFailed(
            f"ClientError: Data download failed: {error}: {place['S3Uri']}"
        ) from error
    if not found:
        raise TransferFailed(
            f"ClientError: No S3 objects found under S3 URL {place['S3Uri']!r} given in input data "
            "source"
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


def opened(s3: Any, source: Source, folder: Path, compression: str) -> BinaryIO:
    """An object's content, brought to this machine and decompressed where it is compressed."""
    path = folder / "object"
    try:
        fetch(s3, source.bucket, source.key, path)
    except ClientError as error:
        raise TransferFailed(
            f"ClientError: Data download failed: {error}: s3://{source.shown}"
        ) from error
    return cast(BinaryIO, gzip.open(path)) if compression == "Gzip" else path.open("rb")
