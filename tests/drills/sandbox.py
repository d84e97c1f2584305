"""Hostile programs in the sandbox: none steals, none holds more memory than it may, none is lost.

    python -m tests.drills sandbox [--only WORD]

Those of tests/hostile are tests by themselves; these are generated from kinds. Exit code 1 where a
program read a canary, held more than half again of its limit, changed something outside, or took
its own result with it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from stacks.sandbox import run as sandbox
from stacks.sandbox.run import Outcome, SandboxLimits
from tests.kits.hostile_programs import LIMIT_MIB, Program, programs
from tests.kits.sandbox import World, commit, world

LIMITS = SandboxLimits(
    wall_seconds=20,
    memory_mib=LIMIT_MIB,
    processes=64,
    tmp_mib=64,
    output_mib=16,
    text_kib=256,
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a program achieved."""

    name: str
    harm: tuple[str, ...]
    held_mib: int
    """Most that it said it held."""

    ended_by: str
    seconds: float


def tried(program: Program) -> Result:
    """One program in a world of its own."""
    begun = time.perf_counter()
    with world() as there:
        (there.repository / "change.py").write_text(program.source)
        commit(there.repository, "change.py")
        there.before = there.snapshot()
        done = sandbox.run(
            ["python", "change.py"],
            repository=there.repository,
            output=there.output,
            limits=LIMITS,
            control_group=program.control_group,
        )
        held = max(map(int, re.findall(r"held (\d+)", done.text)), default=0)
        harm = tuple(_harm(program, done, held, there))
    return Result(
        name=program.name,
        harm=harm,
        held_mib=held,
        ended_by=done.ended_by,
        seconds=time.perf_counter() - begun,
    )


def _harm(program: Program, done: Outcome, held: int, there: World) -> list[str]:
    harm = [*there.harm(done.text), *(f"left {name}" for name in there.unsafe_output())]
    # without the kernel's help memory is looked at from time to time, and a program may be fast
    if held > 1.5 * LIMIT_MIB:
        harm.append(f"held {held} MiB of {LIMIT_MIB}")
    if program.code is not None and done.code != program.code:
        harm.append(f"its exit code {program.code} became {done.code}")
    for name in program.files or ():
        if name not in done.files:
            harm.append(f"its {name} is lost")
    return harm


def drill(asked: Iterable[Program]) -> list[Result]:
    return [tried(program) for program in asked]


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.drills sandbox", description=__doc__)
    parser.add_argument("--only", default="", help="programs with this in their name")
    parser.add_argument("--say", action="store_true", help="print what came of each")
    options = parser.parse_args(arguments)
    results = drill(program for program in programs() if options.only in program.name)
    harms = [f"{result.name}: {', '.join(result.harm)}" for result in results if result.harm]
    counts = {
        "programs": len(results),
        "harmful": len(harms),
        "most_held_mib": max(result.held_mib for result in results),
        "limit_mib": LIMIT_MIB,
        "ended_by_memory": sum("memory" in result.ended_by for result in results),
        "slowest_s": round(max(result.seconds for result in results), 1),
    }
    sys.stdout.write(json.dumps(counts) + "\n")
    for result in results if options.say else ():
        told = f"{result.held_mib} MiB, {result.ended_by}" if result.held_mib else result.ended_by
        sys.stdout.write(f"{result.name}: {result.seconds:.1f} s {told}\n")
    sys.stderr.write("".join(f"{harm}\n" for harm in harms))
    return int(bool(harms))
