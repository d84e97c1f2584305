"""Spark jobs as processes: spark-submit on this machine, its S3 the local cloud's.

What the program prints on either stream is kept apart, as EMR brings both to S3, and together in
`local/jobs/<job>/log.txt`; the rest of the job's folder is deleted when it is over.
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.errors import UserError
from stacks.local.runtime import left
from stacks.local.runtime.container import ContainerRuntime
from stacks.local.runtime.jobs import Status, over
from stacks.local.runtime.processes import TAIL_BYTES
from stacks.toolchain import spark
from stacks.toolchain.build import Say

STREAMS = ("stdout", "stderr")

APART = '{ "$@" 2>&1 1>&3 3>&- | tee stderr >&2; } 3>&1 | tee stdout'
"""Both streams into files of the folder and on to where they went."""

EXCEPTION = re.compile(r"(Exception in thread .*|[\w.]+(Error|Exception)\b.*)")
"""The line that says why a program of Python or Java failed, at its beginning."""

S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"


@dataclass(frozen=True, kw_only=True)
class SparkEnd:
    """How a Spark job ended, and what it printed on each stream."""

    status: Status
    reason: str = ""
    exit_code: int | None = None
    """Default: it never ran, or was stopped."""

    printed: Mapping[str, bytes]


def run(
    host: ContainerRuntime,
    name: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    credentials: Mapping[str, str],
    stopping: threading.Event,
    seconds: float,
    say: Say,
) -> SparkEnd:
    """spark-submit with these arguments until it ends, is stopped, or its time is over."""
    folder = host.state / "jobs" / name / "work"  # it does not see its log, which lies above
    left.remove(folder.parent)
    folder.mkdir(parents=True)
    try:
        installed = spark.ensure(say)
    except UserError as error:
        return SparkEnd(status="Failed", reason=f"{error}; {error.fix}", printed={})
    own = {**environment, **installed.environment}
    programs = f"{installed.home / 'bin'}:{installed.java_home / 'bin'}:/usr/bin:/bin"
    conf = folder / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(_defaults(host.endpoint_url, host.region))
    submit = ["spark-submit", "--master", "local[*]", *arguments]
    process = host.start(
        ["bash", "-o", "pipefail", "-c", APART, "bash", *submit],
        purpose=f"Spark job {name}",
        directory=folder,
        environment={**own, "PATH": programs, "SPARK_CONF_DIR": str(conf)},
        log=folder.parent / "log.txt",
        credentials=credentials,
        ours=False,
        seen=(installed.packages, installed.java_home),
    )
    ended = over(process, stopping, time.monotonic() + seconds)
    status = host.children.stop(process)
    printed = {stream: left.content(folder, folder / stream) for stream in STREAMS}
    said = told(printed["stderr"], printed["stdout"])
    left.remove(folder)
    if not ended:
        why = "" if stopping.is_set() else f"it ran longer than {seconds:.0f} seconds"
        return SparkEnd(status="Stopped", reason=why, printed=printed)
    if status:
        return SparkEnd(status="Failed", reason=said, exit_code=status, printed=printed)
    return SparkEnd(status="Completed", exit_code=0, printed=printed)


def _defaults(endpoint_url: str, region: str) -> str:
    """Properties of every job here: s3:// is what EMR's file system is, and lies in this cloud.

    Source: Hadoop 3.3, "Hadoop-AWS module".
    """
    properties = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **{f"spark.hadoop.fs.{scheme}.impl": S3A for scheme in ("s3", "s3a", "s3n")},
        "spark.hadoop.fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        "spark.hadoop.fs.s3a.aws.credentials.provider": (
            "com.amazonaws.auth.EnvironmentVariableCredentialsProvider"
        ),
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.endpoint": endpoint_url,
        "spark.hadoop.fs.s3a.endpoint.region": region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }
    return "".join(f"{name} {value}\n" for name, value in properties.items())


def told(*printed: bytes) -> str:
    """Why a program failed: the last exception that it printed, else the last line of the first.

    Of what a script of Python prints Spark brings both streams to the standard output.
    """
    ends = [text[-TAIL_BYTES:].decode(errors="replace").rstrip().splitlines() for text in printed]
    for lines in ends:
        if found := [line for line in lines if EXCEPTION.match(line)]:
            return found[-1]
    return (ends[0] or [""])[-1]
