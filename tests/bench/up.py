"""What a part of the local cloud costs a whole `plinth up local`: with it and without, in turns.

`iam` decides every request, `keeping` writes the data down. Everything is deployed into a fresh
cloud each time, with `--models` trained and served too. Wall and processor seconds of the command,
the engine and the cloud are printed. Exits with 1 where the median with the part takes more than
MOST_TIMES that without, by processor seconds: other work on the machine is in the wall's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
MOST_TIMES = 1.15

PARTS = {
    "iam": """
from stacks.local.aws.iam.authorizer import Authorizer
Authorizer.check = lambda *_: None
""",
    "keeping": """
from stacks.local.keeping.keeper import Keeper, Quiet
Keeper.run = lambda *_: None
Quiet.note = lambda _: None
""",
}
"""What takes a part away, from the outside: the cloud has no such switch."""

WITH = """
import os, sys
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
from stacks.local.daemon.main import main
sys.exit(main(sys.argv[1:]))
"""


def _up(home: Path, program: str, *, models: bool) -> tuple[float, float]:
    """Wall and processor seconds of one `up` into a cloud of this program."""
    environment = {**os.environ, "PLINTH_HOME": str(home), "PYTHONPATH": str(ROOT)}
    plinth = [sys.executable, "-m", "stacks.cli"]
    arguments = ["--home", str(home)]
    home.mkdir(parents=True, mode=0o700)
    with subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=ROOT) as cloud:
        record = home / "local" / "cloud.json"
        while not record.exists():
            if cloud.poll() is not None:
                raise RuntimeError(f"the cloud must start, ended with {cloud.returncode}")
            time.sleep(0.1)
        assert json.loads(record.read_text())["pid"] == cloud.pid
        before, begun = _children_seconds(), time.perf_counter()
        command = [*plinth, "up", "local", *(["--with-model"] if models else []), "--json"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - begun
        spent = psutil.Process(cloud.pid).cpu_times()
        jobs = spent.children_user + spent.children_system
        processor = _children_seconds() - before + spent.user + spent.system + jobs
        subprocess.run(
            [*plinth, "destroy", "local", "--yes", "--json"],
            cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return wall, processor


def _children_seconds() -> float:
    """Of processes that ended: commands and their engines."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", action="store_true", help="train and serve models, too")
    asked = parser.parse_args()
    spent: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    programs = {"with": WITH, "without": PARTS[asked.part] + WITH}
    with tempfile.TemporaryDirectory(prefix="plinth-bench-") as folder:
        for number in range(asked.rounds):
            for how in ("with", "without") if number % 2 else ("without", "with"):
                home = Path(folder) / f"{how}-{number}"
                spent[how].append(_up(home, programs[how], models=asked.models))
                print(f"{how:<8} {asked.part}: wall {spent[how][-1][0]:6.1f} s, processor "
                      f"{spent[how][-1][1]:6.1f} s", flush=True)  # fmt: skip
    wall, processor = (
        statistics.median(one[kind] for one in spent["with"])
        / statistics.median(one[kind] for one in spent["without"])
        for kind in (0, 1)
    )
    print(
        f"with {asked.part} `up local` takes {wall:.3f} times the wall, "
        f"{processor:.3f} times the processor seconds"
    )
    return int(processor > MOST_TIMES)


if __name__ == "__main__":
    sys.exit(main())
