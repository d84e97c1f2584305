"""What a pipeline's step costs over the bare program, and what the cache saves.

    python -m tests.bench.executor [STEPS]

One chain of Processing steps whose program ends at once, beside the same programs started one after
the other; and one of steps that sleep for a second, run and run again unchanged with cache.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.kits.executions import create, execute, shell
from tests.kits.local_cloud import running_cloud

STEPS = 20
CACHE = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"}}


def chain(command: str, count: int, **more: Any) -> list[Any]:
    """Steps that follow each other."""
    return [
        shell(f"S{n}", command, **({"DependsOn": [f"S{n - 1}"]} if n else {}), **more)
        for n in range(count)
    ]


def seconds_of(sm: Any, name: str) -> float:
    began = time.perf_counter()
    ended = execute(sm, name)
    assert ended["PipelineExecutionStatus"] == "Succeeded", ended
    return time.perf_counter() - began


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else STEPS
    with tempfile.TemporaryDirectory() as folder, running_cloud(Path(folder) / "home") as cloud:
        sm = cloud.client("sagemaker")
        create(sm, "quick", *chain("true", count))
        create(sm, "slow", *chain("sleep 1", count, **CACHE))
        seconds_of(sm, "quick")  # whatever is loaded once is
        began = time.perf_counter()
        for _ in range(count):
            subprocess.run(["bash", "-c", "true"], check=True)
        bare = time.perf_counter() - began
        steps = seconds_of(sm, "quick")
        first, again = seconds_of(sm, "slow"), seconds_of(sm, "slow")
    print(f"{count} steps: {steps:.2f} s, bare programs {bare:.2f} s")
    print(f"a step costs {1000 * (steps - bare) / count:.0f} ms more than its program")
    print(f"{count} steps of a second: {first:.1f} s, again with cache {again:.2f} s")
    print(f"with cache {first / again:.0f} times faster")


if __name__ == "__main__":
    main(sys.argv[1:])
