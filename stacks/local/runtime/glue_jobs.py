"""Jobs of Glue as processes: a Python shell is this machine's Python, Spark is spark-submit.

A Python shell has, beside Python, what this checkout is installed with (boto3, pandas, NumPy,
PyArrow) and nothing of the checkout; Glue's own library `awsglue` is not there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stacks.local.runtime import left, spark_jobs
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.jobs import over
from stacks.toolchain.build import Say

STREAMS = spark_jobs.STREAMS
LACKS = "Glue's own library is not there on the local cloud"


@dataclass(frozen=True, kw_only=True)
class End:
    """How a run ended: Completed, Failed, Stopped or Late; and what it printed."""

    status: str
    reason: str = ""
    printed: Mapping[str, bytes]


def shell(
    host: ContainerRuntime,
    name: str,
    script: bytes,
    arguments: Sequence[str],
    *,
    credentials: Mapping[str, str],
    stopping: threading.Event,
    seconds: float,
) -> End:
    """A script in a Python of its own until it ends, is stopped, or its time is over."""
    folder = host.state / "jobs" / name / "work"  # it does not see its log, which lies above
    left.remove(folder.parent)
    folder.mkdir(parents=True)
    (folder / "script.py").write_bytes(script)
    process = host.start(
        ["bash", "-o", "pipefail", "-c", spark_jobs.APART, "bash", "python3", "script.py",
         *arguments],
        purpose=f"Glue job {name}",
        directory=folder,
        environment={},
        log=folder.parent / "log.txt",
        credentials=credentials,
        ours=False,
    )  # fmt: skip
    ended = over(process, stopping, time.monotonic() + seconds)
    status = host.children.stop(process)
    printed = {stream: left.content(folder, folder / stream) for stream in STREAMS}
    left.remove(folder)
    if not ended:
        return End(status="Stopped" if stopping.is_set() else "Late", printed=printed)
    if status:
        said = spark_jobs.told(printed["stderr"]) or f"Command failed with exit code {status}"
        return End(status="Failed", reason=_hinted(said), printed=printed)
    return End(status="Completed", printed=printed)


def etl(
    host: ContainerRuntime,
    name: str,
    script_uri: str,
    arguments: Sequence[str],
    *,
    credentials: Mapping[str, str],
    stopping: threading.Event,
    seconds: float,
    say: Say,
) -> End:
    """A script by spark-submit, which reads it where it lies in S3."""
    ended = spark_jobs.run(
        host, name, [script_uri, *arguments], environment={}, credentials=credentials,
        stopping=stopping, seconds=seconds, say=say,
    )  # fmt: skip
    late = ended.status == "Stopped" and not stopping.is_set()
    status = "Late" if late else str(ended.status)
    return End(status=status, reason=_hinted(ended.reason), printed=ended.printed)


def _hinted(reason: str) -> str:
    return f"{reason} ({LACKS})" if reason.endswith("No module named 'awsglue'") else reason
