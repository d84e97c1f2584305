"""Crawlers over S3: a folder of files of one schema becomes a table of the catalogue.

A crawl acts as the crawler's role. Sources: Glue developer guide, "How crawlers work", "How does a
crawler determine when to create partitions?", "Parameters set on Data Catalog tables by crawler";
API reference, LastCrawlInfo. Of each folder the first file is read, and its schema is DuckDB's, so
names and numbers are Glue's and types may be wider (`bigint` where Glue has `int`).
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.glue import tables
from stacks.local.aws.glue.commands import not_emulated
from stacks.local.aws.glue.tables import Found
from stacks.local.runtime import table_schemas
from stacks.local.runtime.acting import Acting, CannotAct
from stacks.local.runtime.s3_files import split_uri
from stacks.local.runtime.table_schemas import Schema, Unreadable

PARTITION = re.compile(r"[^/=]+=[^/]*")
ENDED = "the local cloud ended meanwhile"
LAST = {"COMPLETED": "SUCCEEDED", "STOPPED": "CANCELLED", "FAILED": "FAILED"}
NOT_PLAYED = ("Exclusions", "ConnectionName", "EventQueueArn", "DlqEventQueueArn")
"""Members of an S3 target that nothing acts upon."""

LOCK = threading.RLock()

log = logging.getLogger(__name__)


class Failed(Exception):
    """A crawl ends FAILED; the text is its error."""


def install(emulator: Emulator) -> None:
    """Let moto's crawlers crawl; what an earlier cloud crawled is over."""
    from moto.glue.models import FakeCrawl, FakeCrawler

    for crawler in moto_backend("glue", emulator).crawlers.values():
        for crawl in crawler.crawls:
            if crawl._status in ("RUNNING", "STOPPING"):
                _end(crawl, "FAILED", ENDED)
    start, shown = FakeCrawler.start_crawler, FakeCrawler.as_dict

    def started(crawler: Any) -> None:
        _check(crawler)
        with LOCK:
            start(crawler)
            crawl = crawler.crawls[-1]
        emulator.background(
            lambda: _crawl(emulator, crawler, crawl),
            broken=lambda error: _end(crawl, "FAILED", repr(error)),
        )

    def described(crawler: Any) -> dict[str, Any]:
        told = {key: value for key, value in shown(crawler).items() if key != "LastCrawl"}
        over = [one for one in crawler.crawls if one._status in LAST]
        return {**told, "LastCrawl": _last(over[-1])} if over else told

    FakeCrawler.start_crawler, FakeCrawler.as_dict = started, described
    FakeCrawl.advance = lambda crawl: None
    FakeCrawl.status = property(
        lambda crawl: crawl._status, lambda crawl, value: setattr(crawl, "_status", value)
    )


def _last(crawl: Any) -> dict[str, Any]:
    error = getattr(crawl, "error", "")
    return {
        "Status": LAST[crawl._status],
        **({"ErrorMessage": error} if error else {}),
        "LogGroup": crawl.log_group,
        "LogStream": crawl.log_stream,
        "MessagePrefix": crawl.message_prefix,
        "StartTime": crawl.start_time,
    }


def _check(crawler: Any) -> None:
    """NotEmulated where a crawler is to look elsewhere, or otherwise, than is done here."""
    for kind, given in (crawler.targets or {}).items():
        if given and kind != "S3Targets":
            raise not_emulated(f"{kind} of a crawler", "only S3 is crawled")
    for target in (crawler.targets or {}).get("S3Targets") or ():
        for member in NOT_PLAYED:
            if target.get(member):
                raise not_emulated(f"{member} of a crawler's target", "nobody has built it")
    if crawler.classifiers:
        raise not_emulated("Classifiers of a crawler", "only Glue's own are played")
    if crawler.configuration:
        raise not_emulated("Configuration of a crawler", "nobody has built it")
    behavior = (crawler.recrawl_policy or {}).get("RecrawlBehavior", "CRAWL_EVERYTHING")
    if behavior != "CRAWL_EVERYTHING":
        raise not_emulated(f"RecrawlBehavior {behavior} of a crawler", "everything is crawled")


def _crawl(emulator: Emulator, crawler: Any, crawl: Any) -> None:
    """One crawl to its end."""
    role = crawler.role
    role = role if role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT_ID}:role/{role}"
    error = ""
    try:
        acting = emulator.act(role, crawler.arn, service="glue", session_name="AWS-Crawler")
        for target in crawler.targets.get("S3Targets") or ():
            for found in _tables(acting, str(target["Path"])):
                if crawl._status != "RUNNING":
                    break
                tables.keep(acting.client("glue"), crawler, found)
    except CannotAct:
        error = f"Service is unable to assume role {role}. Please verify role's TrustPolicy"
    except (ClientError, BotoCoreError, Failed) as problem:
        error = str(problem)
    stopped = crawl._status != "RUNNING"
    _end(crawl, "STOPPED" if stopped else "FAILED" if error else "COMPLETED", error)
    emulator.spark_ends["glue"] += 1


def _end(crawl: Any, status: str, error: str = "") -> None:
    from moto.core.utils import utcnow

    with LOCK:
        crawl._status, crawl.error, crawl.end_time = status, error, utcnow()
    if error:
        log.warning("a crawl of %s failed: %s", crawl.log_stream, error)


def _tables(acting: Acting, path: str) -> Iterator[Found]:
    """What lies below a path: one table, or one for each folder where their schemas differ."""
    bucket, prefix = split_uri(path if path.endswith("/") else f"{path}/")
    folders = _folders(acting, bucket, prefix)
    schemas = {root: _schema(acting, bucket, keys[0][0]) for root, keys in folders.items()}
    if "" in schemas and len(schemas) > 1:
        raise Failed(f"{path}: files beside folders of files are not crawled by the local cloud")
    if schemas and "" not in schemas and len(set(schemas.values())) == 1:
        raise Failed(
            f"{path}: its folders {sorted(schemas)} have one schema: Glue makes partitions without "
            "names of them, the local cloud makes partitions of folders like year=2026 alone"
        )
    for root, schema in schemas.items():
        at = f"{prefix}{root}/" if root else prefix
        yield Found(bucket=bucket, prefix=at, schema=schema, objects=folders[root])


def _folders(acting: Acting, bucket: str, prefix: str) -> Mapping[str, list[tuple[str, int]]]:
    """Keys and sizes below each folder that holds files, the folders of partitions left out."""
    found: dict[str, list[tuple[str, int]]] = {}
    pages = acting.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for one in page.get("Contents", ()):
            key, size = one["Key"], int(one["Size"])
            parts = key.removeprefix(prefix).split("/")
            if not size or any(part.startswith((".", "_")) for part in parts):
                continue  # hidden from Hive
            folders = parts[:-1]
            while folders and PARTITION.fullmatch(folders[-1]):
                folders.pop()
            found.setdefault("/".join(folders), []).append((key, size))
    return found


def _schema(acting: Acting, bucket: str, key: str) -> Schema:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{''.join(Path(key).suffixes[-2:])}"
        with path.open("wb") as out:
            shutil.copyfileobj(acting.s3.get_object(Bucket=bucket, Key=key)["Body"], out)
        try:
            return table_schemas.read(path)
        except Unreadable as error:
            raise Failed(f"s3://{bucket}/{key}: {error}") from error
