"""What the sandbox costs: the same synth of an environment inside and outside, one after the other.

    python tests/bench/sandbox.py [--env dev] [--rounds 5] [--json]

Both synthesize all stacks of it, with the same interpreter on the same checkout with the same
bytecode. Rounds alternate, so that the load of the machine falls on both alike; only the ratios are
worth reporting: of the clock, by the median and by the fastest round of each side, and of processor
time, which a busy machine disturbs least.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = (
    "import os, sys\n"
    "from stacks.stack_name import named\n"
    "from stacks.synth import synth_of, to_json\n"
    "text = '\\n'.join(to_json(synth_of(stack)) for stack in named(sys.argv[1]))\n"
    "open(os.environ['PLINTH_SANDBOX_OUTPUT'] + '/synth.json', 'w').write(text)\n"
)


def outside(env: str, output: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", PROGRAM, env],
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(output),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONNOUSERSITE": "1",
            "LC_ALL": "C.UTF-8",
            "PLINTH_HOME": str(output / "state"),
            "PLINTH_SANDBOX_OUTPUT": str(output),
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        capture_output=True,
        check=True,
    )


def inside(env: str, output: Path) -> None:
    from stacks.sandbox.run import run

    done = run(["python", "-c", PROGRAM, env], repository=REPOSITORY, output=output)
    if done.code:
        raise SystemExit(done.text)


def used_seconds() -> float:
    """Processor time of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def overhead_percent(found: dict[str, list[float]]) -> float:
    """The median of the rounds."""
    ratios = [i / o for i, o in zip(found["inside"], found["outside"], strict=True)]
    return round(100 * (statistics.median(ratios) - 1), 1)


def least_overhead_percent(found: dict[str, list[float]]) -> float:
    """The fastest round of each side: what is left where others disturbed least."""
    return round(100 * (min(found["inside"]) / min(found["outside"]) - 1), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--env", default="dev")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sides: dict[str, Callable[[str, Path], None]] = {"outside": outside, "inside": inside}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    processor: dict[str, list[float]] = {name: [] for name in sides}
    answers: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(asked.rounds + 1):
            for name in sorted(sides, reverse=bool(turn % 2)):
                output = Path(folder, f"{name}-{turn}")  # no caches of an earlier round
                output.mkdir()
                started, before = time.perf_counter(), used_seconds()
                sides[name](asked.env, output)
                taken = time.perf_counter() - started
                answers[name] = (output / "synth.json").read_text()
                if turn:  # the first is the warm-up
                    seconds[name].append(taken)
                    processor[name].append(used_seconds() - before)
    result = {
        "env": asked.env,
        "rounds": asked.rounds,
        "same_answers": answers["inside"] == answers["outside"],
        **{f"{name}_seconds": round(statistics.median(seconds[name]), 2) for name in sides},
        "overhead_percent": overhead_percent(seconds),
        "least_overhead_percent": least_overhead_percent(seconds),
        "processor_overhead_percent": overhead_percent(processor),
    }
    if asked.json:
        print(json.dumps(result, sort_keys=True))
    else:
        for name, value in result.items():
            print(f"{name:<26}{value}")


if __name__ == "__main__":
    main()
