"""What the tests of the whole path ask of a clone, and programs of other people that they run."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from botocore.exceptions import ClientError

from tests.conftest import HANGS_SECONDS, Clone

Found = TypeVar("Found")

DATA = "plinth-local-data-123456789012"

SDK_RUN = """
from sagemaker.mlops.workflow.pipeline import Pipeline
execution = Pipeline(name="plinth-local-flight-delay-training", steps=[]).start()
execution.wait(delay=1, max_attempts=300)
print(execution.describe()["PipelineExecutionStatus"])
print(sorted(step["StepName"] for step in execution.list_steps()))
"""
"""Starts a pipeline as anybody does who has SageMaker's SDK."""

BOTO3_STATUS = """
import boto3
endpoint = boto3.client("sagemaker").describe_endpoint(
    EndpointName="plinth-local-flight-delay-realtime"
)
print(endpoint["EndpointStatus"])
"""

MLFLOW_METRICS = """
import json, mlflow, sys
client = mlflow.MlflowClient(sys.argv[1])
runs = client.search_runs([found.experiment_id for found in client.search_experiments()])
print(json.dumps([run.data.metrics for run in runs]))
"""
"""The metrics of all runs, as MLflow's client finds them."""


def python(code: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program with this Python; its output as text."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def not_same(result: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What is not left as it was, by stack; stacks of which nothing changes are not in it."""
    assert result["stacks"]
    found = {
        stack: {name: n for name, n in said["changes"].items() if n and name != "same"}
        for stack, said in result["stacks"].items()
    }
    return {stack: changes for stack, changes in found.items() if changes}


def checked(result: Mapping[str, Any], status: str) -> dict[str, str]:
    """What checks of any stack said, of those that ended like this."""
    return {
        finding["check"]: finding["message"]
        for said in result["stacks"].values()
        for finding in said["findings"]
        if finding["status"] == status
    }


def states(clone: Clone) -> dict[str, bytes]:
    """The state of every stack, as it lies on disk."""
    folder = clone.home / "local" / "state" / ".pulumi" / "stacks" / "plinth"
    return {path.stem: path.read_bytes() for path in folder.glob("*.json")}


def wait_until(
    answer: Callable[[], Found | None], by: "subprocess.Popen[Any] | None" = None
) -> Found:
    """The first answer that is not empty: asked as long as the process runs, if given.

    A busy machine takes its time; only what hangs for good is given up by the clock.
    """
    deadline = time.monotonic() + HANGS_SECONDS
    while not (found := answer()):
        assert by is None or by.poll() is None, "it ended before it came to the point"
        assert time.monotonic() < deadline, f"it never came to the point, still {found!r}"
        time.sleep(0.1)
    return found


def answers(call: Callable[..., Any], **request: str) -> bool:
    """Whether AWS answers without an error: the thing exists."""
    try:
        call(**request)
    except ClientError:
        return False
    return True


def engine_of(clone: Clone, stack: str = "") -> psutil.Process | None:
    """The engine that updates or destroys a stack of the clone; of any stack by default."""
    for process in clone.processes():
        with contextlib.suppress(psutil.Error):
            said = process.cmdline()
            works = process.name() == "pulumi" and not {"up", "destroy"}.isdisjoint(said)
            if works and (not stack or stack in said):
                return process
    return None


@dataclass(frozen=True)
class Watched:
    """What a command said, and what listened while it ran: program, address and port."""

    said: dict[str, Any]
    sockets: set[tuple[str, str, int]]


def listening_until_over(clone: Clone, command: subprocess.Popen[str]) -> Watched:
    """The JSON of a command, and all that listens for this clone while it runs."""
    found: set[tuple[str, str, int]] = set()
    while command.poll() is None:
        for process in clone.processes():
            with contextlib.suppress(psutil.Error):
                found |= {
                    (process.name(), c.laddr.ip.removeprefix("::ffff:"), c.laddr.port)
                    for c in process.net_connections(kind="tcp")
                    if c.status == psutil.CONN_LISTEN
                }
        time.sleep(0.2)  # it has more to do than being looked at
    out, err = command.communicate()
    assert command.returncode == 0, err
    return Watched(json.loads(out.strip().splitlines()[-1]), found)


def corrupted(lines: Sequence[str]) -> str:
    """A month of flights in which carriers are missing and distances negative."""
    header = lines[0].split(",")
    carrier, distance = header.index("carrier"), header.index("distance")
    broken = [line.split(",") for line in lines]
    for row in broken[1:50]:
        row[carrier] = ""
    for row in broken[50:100]:
        row[distance] = f"-{row[distance]}"
    return "\n".join(",".join(row) for row in broken)


def shell(clone: Clone, block: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Run a block of a document in a clone, as a person would who has these folders on PATH."""
    venv = Path(sys.prefix)
    path = [*map(str, folders), str(venv / "bin"), os.environ["PATH"]]
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=clone.root,
        env={
            "HOME": str(clone.root),
            "PATH": os.pathsep.join(path),
            "PLINTH_HOME": str(clone.home),
            "VIRTUAL_ENV": str(venv),
            "PYTHONPATH": str(clone.root),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
