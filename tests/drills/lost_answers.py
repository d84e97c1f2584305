"""Requests and answers that get lost between the provider and AWS: two runs, nothing twice.

`python -m tests.drills lost_answers [TIMES] [RATE]` deploys the foundation TIMES times, each time
into a home of its own whose cloud hurts that share of the provider's requests in five ways, seeded
(tests/kits/faulty_cloud.py). What the first `up` left undone the second must finish; then nothing
may be there twice, and a third `up` must change nothing.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stacks.local.daemon.client import find
from tests.conftest import ROOT, Clone
from tests.drills.state import STACK, say
from tests.kits.faulty_cloud import QUIET
from tests.kits.made import EXPECTED, created
from tests.kits.path import wait_until


@contextmanager
def hurt(rate: float, seed: int) -> Iterator[Clone]:
    """A home whose cloud loses requests and answers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clone = Clone(ROOT, Path(folder))
        argv = [sys.executable, "-m", "tests.kits.faulty_cloud", folder, str(rate), str(seed)]
        with subprocess.Popen(argv, cwd=ROOT, env=clone.env(), stderr=subprocess.DEVNULL) as cloud:
            try:
                wait_until(lambda: find(clone.home) is not None)
                yield clone
            finally:
                cloud.terminate()


def faults(clone: Clone) -> Counter[str]:
    """How many requests were hurt until now, by kind."""
    path = clone.home / "faults.json"
    return Counter(json.loads(path.read_text())) if path.exists() else Counter()


def run(arguments: Sequence[str]) -> int:
    """Drill; 0 where every home was whole after two runs."""
    times = int(arguments[0]) if arguments else 5
    rate = float(arguments[1]) if len(arguments) > 1 else 0.3
    total: Counter[str] = Counter()
    wrong = 0
    for seed in range(times):
        with hurt(rate, seed) as clone:
            codes = [clone.plinth("up", STACK).code]
            (clone.home / QUIET).touch()
            if codes[-1]:
                codes.append(clone.plinth("up", STACK).code)
            made = created(clone)
            same = clone.plinth("up", STACK, "--json")
            changes = same.json["changes"] if same.code == 0 else {"failed": 1}
            changed = {kind: n for kind, n in changes.items() if n and kind != "same"}
            total += faults(clone)
            good = not codes[-1] and made == EXPECTED and not changed
            wrong += not good
            verdict = "whole" if good else f"WRONG {dict(made)} {changed} {same.err[-500:]}"
            say(f"seed {seed}: exit codes {codes}, {faults(clone).total()} faults, {verdict}")
    say(f"{total.total()} faults {dict(total)}: {wrong} of {times} homes wrong")
    return 1 if wrong else 0
