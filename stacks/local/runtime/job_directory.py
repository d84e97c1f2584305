"""Folders of a job's containers on this machine, each with its /opt/ml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stacks.local.runtime import left
from stacks.local.runtime.container import OPT_ML
from stacks.local.runtime.s3_files import TransferFailed

Request = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobDirectory:
    """The folder of one container of a job: `ml` becomes its /opt/ml."""

    folder: Path
    log: Path
    host: str
    """Its name among the containers of the job."""

    hosts: Sequence[str] = ("algo-1",)
    """All containers of the job. Default: it is the only one."""

    names: Path | None = None
    """The /etc/hosts in which they find each other. Default: there are no others."""

    def share(self, source: Request) -> tuple[int, int]:
        """Which part it gets of data in S3, and of how many parts."""
        if source.get("S3DataDistributionType") != "ShardedByS3Key":
            return 0, 1
        return self.hosts.index(self.host), len(self.hosts)

    def path(self, in_container: str) -> Path:
        """Where a path of the container lies on this machine, in its folder and nowhere else."""
        inside = PurePosixPath(in_container)
        if ".." in inside.parts or not inside.is_relative_to(OPT_ML):
            raise TransferFailed(f"ClientError: a path must start with {OPT_ML}, got {inside}")
        path = self.folder / "ml" / inside.relative_to(OPT_ML)
        try:
            left.within(self.folder, path)
        except left.LeadsOut as error:
            raise TransferFailed(f"ClientError: {inside}: {error}") from None
        return path

    def write(self, in_container: str, content: object) -> None:
        path = self.path(in_container)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def lines(self, in_container: str) -> list[str]:
        """Lines of the files in a folder, empty ones left out."""
        texts = [self._text(file) for file in sorted(self.path(in_container).glob("*"))]
        return [line for text in texts for line in text.splitlines() if line.strip()]

    def read(self, in_container: str, limit: int) -> str:
        """The begin of a file; empty where there is none in its folder."""
        try:
            return self._text(self.path(in_container), limit).strip()
        except TransferFailed:
            return ""

    def _text(self, path: Path, limit: int = left.READ_BYTES) -> str:
        return left.content(self.folder, path, limit).decode(errors="replace")
