"""Commands that start at once in one home: one changes a stack at a time, the others hear who does.

    python -m tests.drills races [TIMES] [SEED] [--from N]

Several of `up`, `preview`, `destroy` and `run` start together, TIMES times, in one home where the
foundation is there every second time. Each must end well, or with exit code 2 and the words of a
lease (or, of `run` and `preview`, that what they need is not deployed); then one `up` must make it
whole. Race N of a seed is chosen by these two alone: `--from` goes on where a drill ended.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT, Clone
from tests.drills.state import STACK, say
from tests.kits.made import EXPECTED, created

COMMANDS = (
    ("up", STACK),
    ("up", STACK, "--wait"),
    ("preview", STACK),
    ("destroy", "local", "--yes"),
    ("destroy", STACK, "--yes"),
    ("run", "local.weather"),
)
AT_ONCE = 4

TOLD = (
    "must be changed by one command at a time, got another: ",
    "must run, got none",
    "must carry no other stack",
    "must be deployed",
    "does not start: Pipeline",
    "ended meanwhile",
)
"""What a loser may hear: who holds the lease, or that a `destroy` came first."""


def run(arguments: Sequence[str]) -> int:
    """Drill; 0 where every loser was told the truth and every home was whole after one `up`."""
    parser = argparse.ArgumentParser(prog="tests.drills races", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=5)
    parser.add_argument("seed", nargs="?", default="0")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N")
    asked = parser.parse_args(arguments)
    wrong, heard = 0, Counter[str]()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clone = Clone(ROOT, Path(folder))
        try:
            for number in range(asked.first, asked.times):
                say(f"race {number}")
                clone.ok(*(("up", STACK) if number % 2 else ("destroy", "local", "--yes")))
                choices = random.Random(f"{asked.seed}/{number}")
                wrong += not _raced(clone, choices.choices(COMMANDS, k=AT_ONCE), heard)
        finally:
            clone.plinth("destroy", "local", "--yes")
    races = asked.times - asked.first
    say(json.dumps({"races": races, "at once": AT_ONCE, "wrong": wrong, **heard}))
    return int(bool(wrong))


def _raced(clone: Clone, commands: Sequence[Sequence[str]], heard: Counter[str]) -> bool:
    started = [clone.start(*words) for words in commands]
    good = True
    for words, process in zip(commands, started, strict=True):
        _, err = process.communicate()
        told = next((words for words in TOLD if words in err), None)
        outcome = "done" if not process.returncode else told or "WRONG"
        heard[outcome] += 1
        good &= outcome != "WRONG"
        last = err.strip().splitlines()[-3:] if process.returncode else []
        say(f"  {' '.join(words)}: {process.returncode} {outcome} {last if not told else ''}")
    up = clone.plinth("up", STACK)
    whole = up.code == 0 and created(clone) == EXPECTED
    if not whole:
        say(f"  WRONG afterwards: {up.code} {dict(created(clone))} {up.err[-800:]}")
    return good and whole
