"""States that get lost or altered, through the command line: refused, put back, nothing twice.

`python -m tests.drills state` deploys the foundation into a home of its own, then for each way of
`tests/kits/state_mutations.py`: `up` must be refused with exit code 2 by name, `plinth state
restore` must put the state back, and at the end `up` must change nothing.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stacks.local.daemon.state_files import checkpoint
from tests.conftest import ROOT, Clone
from tests.kits.state_mutations import MUTATIONS

STACK = "local.foundation"


def say(line: str) -> None:
    """A line of the drill's report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(arguments: Sequence[str]) -> int:
    """Drill the mutations named, or all; 0 where each was refused and put back."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clone = Clone(ROOT, Path(folder))
        try:
            return _drilled(clone, arguments or list(MUTATIONS))
        finally:
            clone.plinth("destroy", "local", "--yes")


def _drilled(clone: Clone, names: Sequence[str]) -> int:
    for _ in range(2):  # so that there is an older one
        clone.ok("up", STACK)
    counts: Counter[str] = Counter()
    for name in names:
        MUTATIONS[name](checkpoint(clone.home, STACK))
        up = clone.plinth("up", STACK)
        refused = up.code == 2 and f"the state of {STACK} must be" in up.err
        put_back = clone.plinth("state", STACK, "restore").code == 0
        whole = put_back and clone.plinth("state", STACK, "verify").code == 0
        outcome = f"{'refused' if refused else 'NOT REFUSED'}, {'restored' if whole else 'LOST'}"
        counts[outcome] += 1
        say(f"{name:28} {outcome}: {_words(up.err)}")
    changes = clone.ok("up", STACK)["changes"]
    say(f"{len(names)} mutations: {dict(counts)}; the next update: {changes}")
    unchanged = not any(number for kind, number in changes.items() if kind != "same")
    return 0 if unchanged and set(counts) == {"refused, restored"} else 1


def _words(text: str) -> str:
    """What was refused, out of all that a command said."""
    said = [line for line in text.splitlines() if line.startswith("plinth: ")]
    return said[0].partition(", got ")[2] if said else text[-200:]
