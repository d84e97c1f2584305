"""Where what runs writes its logs: files on this machine, groups in CloudWatch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["cloud", "cluster", "endpoint", "function", "job", "tracking"]
KINDS: tuple[Kind, ...] = ("cloud", "cluster", "endpoint", "function", "job", "tracking")

FILES: tuple[tuple[Kind, str], ...] = (
    ("cloud", "cloud.log"),
    ("cluster", "kubernetes/*.log"),
    ("endpoint", "logs/endpoints/*/*.log"),
    ("function", "logs/functions/*.log"),
    ("job", "jobs/*/log.txt"),
    ("job", "transforms/*/*.txt"),
    ("tracking", "mlflow/log.txt"),
)
"""Where the local cloud keeps them, below `.plinth/local/`."""

GROUPS: tuple[tuple[Kind, str], ...] = (
    ("endpoint", "/aws/sagemaker/Endpoints/{prefix}"),
    ("function", "/aws/lambda/{prefix}"),
    ("job", "/aws/sagemaker/ProcessingJobs"),
    ("job", "/aws/sagemaker/TrainingJobs"),
    ("job", "/aws/sagemaker/TransformJobs"),
    ("cluster", "/aws/eks/{prefix}"),
)
"""Prefixes of CloudWatch's log groups (SageMaker developer guide, "Log groups and streams"); those
of jobs hold the jobs of everybody, one stream each."""

RECENT_MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Log:
    """One log."""

    kind: Kind
    name: str
    """What wrote it, such as an endpoint's variant or a job."""

    place: str
    """Path of the file, or name of the group."""

    read: Callable[[int], list[str]]
    """The last so many lines."""


def of_files(folder: Path, prefix: str) -> list[Log]:
    """Logs of the local cloud that belong to names with a prefix; the newest last."""
    found = []
    for kind, pattern in FILES:
        paths = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
        found += [_of_file(kind, folder, path) for path in paths]
    return [
        log for log in found if log.kind in ("cloud", "cluster", "tracking") or _is(log, prefix)
    ]


def _is(log: Log, prefix: str) -> bool:
    return log.name.startswith(prefix) or log.kind == "job"


def _of_file(kind: Kind, folder: Path, path: Path) -> Log:
    name = path.parent.name if path.name.endswith("log.txt") else path.stem
    if kind == "endpoint":
        name = f"{path.parent.name} {path.stem}"

    def read(count: int) -> list[str]:
        return path.read_text(errors="replace").splitlines()[-count:]

    return Log(kind=kind, name=name, place=str(path), read=read)


def of_groups(client: Any, prefix: str) -> Iterator[Log]:
    """Logs of an account: a group each, with what came in the last hour."""
    for kind, pattern in GROUPS:
        pages = client.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=pattern.format(prefix=prefix)
        )
        for page in pages:
            for group in page["logGroups"]:
                yield _of_group(client, kind, group["logGroupName"])


def _of_group(client: Any, kind: Kind, name: str) -> Log:
    def read(count: int) -> list[str]:
        since = int((time.time() - RECENT_MINUTES * 60) * 1000)
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=name, startTime=since
        )
        lines = [event["message"].rstrip() for page in pages for event in page["events"]]
        return lines[-count:]

    return Log(kind=kind, name=name.rpartition("/")[2], place=name, read=read)


def of_kind(logs: Sequence[Log], kind: str | None) -> list[Log]:
    """The logs of one kind, or all."""
    return [log for log in logs if kind in (None, log.kind)]
