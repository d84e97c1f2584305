"""Command lines and engines that are killed in mid-work: at most two runs, nothing lost or twice.

`python -m tests.drills kills [TIMES] [SEED]` kills `up`, an update, a replacement or `destroy` of
the foundation at a random moment, TIMES times in one home. After each the next `up` must end well,
by the second try; then nothing may be there twice and no process of a policy pack may be left.
"""

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from stacks.local.daemon.state_files import state_folder
from tests.conftest import Clone, copy_checkout
from tests.drills.state import STACK, say
from tests.kits.made import EXPECTED, created
from tests.kits.path import engine_of

VICTIMS = ("command line", "engine", "both")
WORK = ("up", "update", "replace", "destroy")
LONGEST_SECONDS = 14.0
"""Longer than any of them takes on a quiet machine: some end before they are killed."""

GRACE_SECONDS = 15
"""In which what a killed engine started must end by itself."""


def run(arguments: Sequence[str]) -> int:
    """Drill; 0 where everything was put right every time."""
    times = int(arguments[0]) if arguments else 10
    choices = random.Random(arguments[1] if len(arguments) > 1 else 0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy_checkout(Path(folder) / "clone")
        clone = Clone(Path(folder) / "clone", Path(folder) / "home")
        try:
            wrong = sum(not _killed(clone, choices, number) for number in range(times))
        finally:
            clone.plinth("destroy", "local", "--yes")
    say(f"{times} kills: {wrong} not put right")
    return 1 if wrong else 0


def _killed(clone: Clone, choices: random.Random, number: int) -> bool:
    work, victim = choices.choice(WORK), choices.choice(VICTIMS)
    seconds = choices.uniform(0.5, LONGEST_SECONDS)
    if work != "up":
        clone.ok("up", STACK)
    if work in ("update", "replace"):
        _edit(clone, work, number)
    words = ("destroy", STACK, "--yes") if work == "destroy" else ("up", STACK)
    process = clone.start(*words)
    time.sleep(seconds)
    engine = engine_of(clone)
    if victim != "engine":
        process.kill()
    if victim != "command line" and engine is not None:
        engine.kill()
    process.communicate()
    codes = [clone.plinth("up", STACK).code]
    if codes[-1]:
        codes.append(clone.plinth("up", STACK).code)
    made, left = created(clone), _packs_left(clone)
    again = clone.plinth("up", STACK, "--json")
    changes = again.json["changes"] if again.code == 0 else Counter(failed=1)
    same = not any(n for kind, n in changes.items() if kind != "same")
    good = not codes[-1] and made == EXPECTED and same and not left
    verdict = "put right" if good else f"WRONG {dict(made)} {changes} {again.err[-500:]} {left}"
    say(f"{work}, {victim} killed after {seconds:.1f} s: then exit codes {codes}, {verdict}")
    return good


def _edit(clone: Clone, work: str, number: int) -> None:
    """Another tag on everything, or another network, of which nearly everything is replaced."""
    folder = clone.root / "stacks" / "environments"
    file, key, value = {
        "update": ("local.yaml", "owner", f"drill-{number}"),
        "replace": ("Pulumi.local.foundation.yaml", "cidr_block", f"10.{60 + number % 100}.0.0/20"),
    }[work]
    text = (folder / file).read_text()
    edited = re.sub(rf"^( *{key}:) .*$", rf"\1 {value}", text, count=1, flags=re.M)
    (folder / file).write_text(edited)


def _packs_left(clone: Clone) -> list[int]:
    """Processes of policy packs of this home that outlived their engines for long."""
    mine = f"file://{state_folder(clone.home)}"
    end = time.monotonic() + GRACE_SECONDS
    while True:
        left = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("PULUMI_BACKEND_URL") == mine:
                    left.append(process.pid)
            except (psutil.Error, OSError):
                continue
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.5)
