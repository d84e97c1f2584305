"""Command lines, engines and clouds killed in mid-work: at most two runs, nothing lost or twice.

    python -m tests.drills kills [TIMES] [SEED] [--from N]

A home lives through creation, update, replacement and destruction of the foundation, once without
harm, so that it is known how long each takes and what it makes, and then with one kill in each, at
a random moment of it. What was begun must be done by the second run. Then state, ledger and cloud
must say the same, the state what it says without a kill, and no process of a policy pack may be
left; after every tenth kill an `up` that reads the cloud first must find nothing to change. Kill N
of a seed is chosen by these two alone: `--from` goes on where a drill ended.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from stacks.local.daemon import state_files
from tests.conftest import Clone, copy_checkout
from tests.drills.state import STACK, say
from tests.kits.made import EXPECTED, created
from tests.kits.path import engine_of

VICTIMS = ("command line", "engine", "both", "cloud")
CREATE, DESTROY = "create", "destroy"
CHANGES = ("update", "replace", DESTROY)
"""What may come next where something is deployed; where nothing is, it is created."""

GRACE_SECONDS = 15
"""In which what a killed engine started must end by itself, and a ledger be written."""

PROVIDERS = "pulumi:providers:"
"""What the engine makes without asking a cloud."""

FEW = 3
"""So many differences are told."""

IN_ENGINE = 5 / 6
"""Share of the kills that fall while an engine runs; before it nothing has begun."""

EVERY = 10
"""So many kills lie between two looks into the cloud itself."""

OWN = re.compile(
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b[0-9a-f]{8,}\b"
    r"|\bdrill-\d+|\b10\.\d+(?=\.)|\"ciphertext\": \"[^\"]*\""
)
"""What may differ between two deployments: ids that AWS makes, what `_edit` edits, salts."""


@dataclass(frozen=True)
class Home:
    """A clone, how long each work takes in it, and what its state says when all is well."""

    clone: Clone
    seconds: Mapping[str, tuple[float, float]]
    """Work -> of the whole command, and of its engine."""

    whole: Mapping[str, str]


def run(arguments: Sequence[str]) -> int:
    """Drill; 0 where everything was put right every time."""
    parser = argparse.ArgumentParser(prog="tests.drills kills", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=10)
    parser.add_argument("seed", nargs="?", default="0")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N")
    asked = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    number = asked.first
    while number < asked.times:
        with _home() as home:  # another one after each that is not put right
            number = _lived(home, asked.seed, range(number, asked.times), counts)
    kills = counts.total() - counts["looks"]
    told = json.dumps({"kills": kills, "seed": asked.seed, **dict(sorted(counts.items()))})
    sys.stdout.write(f"{told}\n")
    return int(any(name.startswith("WRONG") for name in counts))


@contextmanager
def _home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy_checkout(Path(folder) / "clone")
        clone = Clone(Path(folder) / "clone", Path(folder) / "home")
        try:
            clone.ok("up", STACK)
            seconds = {work: _timed(clone, work) for work in (*CHANGES, CREATE)}
            say(f"a home: {', '.join(f'{work} {took[0]:.1f} s' for work, took in seconds.items())}")
            yield Home(clone, seconds, says(clone))
        finally:
            clone.plinth("destroy", "local", "--yes")


def _timed(clone: Clone, work: str) -> tuple[float, float]:
    begun = time.monotonic()
    process = clone.start(*_words(clone, work, 0))
    _until_engine(clone, process)
    engine = time.monotonic()
    _, err = process.communicate()
    assert process.returncode == 0, err
    return time.monotonic() - begun, time.monotonic() - engine


def _until_engine(clone: Clone, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and engine_of(clone) is None:
        time.sleep(0.2)


def _lived(home: Home, seed: str, numbers: range, counts: Counter[str]) -> int:
    """Kill, number by number, until one is not put right; the number that comes next."""
    for number in numbers:
        choices = random.Random(f"{seed}/{number}")
        deployed = bool(state_files.held(home.clone.home))
        work = choices.choice(CHANGES) if deployed else CREATE
        victim, in_engine = choices.choice(VICTIMS), choices.random() < IN_ENGINE
        seconds = choices.random() * home.seconds[work][in_engine]
        words = _words(home.clone, work, number)
        hit = _kill(home.clone, words, victim, seconds, in_engine=in_engine)
        runs, wrong = _put_right(home, work, choices)
        if not wrong and (number + 1) % EVERY == 0:
            counts["looks"] += 1
            wrong = _looked(home.clone)
        verdict = f"WRONG {wrong}" if wrong else f"put right by {runs}"
        say(f"{number}: {work}, {victim} {hit} at {seconds:.1f} s: {verdict}")
        counts[f"{'WRONG' if wrong else f'put right by {runs}'}: {work}, {victim} {hit}"] += 1
        if wrong:
            return number + 1
    return numbers.stop


def _words(clone: Clone, work: str, number: int) -> tuple[str, ...]:
    """The command of a work, after what makes it one: another tag on everything, or a network of
    other addresses, of which nearly everything is replaced."""
    folder = clone.root / "stacks" / "environments"
    edits = {
        "update": ("local.yaml", "owner", f"drill-{number}"),
        "replace": ("Pulumi.local.foundation.yaml", "cidr_block", f"10.{60 + number % 100}.0.0/20"),
    }
    if work in edits:
        file, key, value = edits[work]
        text = (folder / file).read_text()
        edited = re.sub(rf"^( *{key}:) .*$", rf"\1 {value}", text, count=1, flags=re.M)
        assert edited != text or number == 0, f"{file} must have a line `{key}:`"
        (folder / file).write_text(edited)
    return ("destroy", STACK, "--yes") if work == DESTROY else ("up", STACK)


def _kill(
    clone: Clone, words: Sequence[str], victim: str, seconds: float, *, in_engine: bool
) -> str:
    """Kill a victim so long after a command, or its engine, has begun; what it was hit in."""
    process = clone.start(*words)
    if in_engine:
        _until_engine(clone, process)
    time.sleep(seconds)
    over, engine = process.poll() is not None, engine_of(clone)
    if victim in ("command line", "both"):
        process.kill()
    if victim in ("engine", "both") and engine is not None:
        engine.kill()
    if victim == "cloud":
        with suppress(OSError, ValueError):
            cloud = json.loads((clone.home / "local" / "cloud.json").read_text())
            os.kill(int(cloud["pid"]), signal.SIGKILL)
    process.communicate()
    return "after the end" if over else "with an engine" if engine else "before an engine"


def _put_right(home: Home, work: str, choices: random.Random) -> tuple[str, str]:
    """Do what was begun, or sometimes `up` where it was `destroy`; how many runs, what is wrong."""
    gone = work == DESTROY and choices.random() < 0.75
    words = ("destroy", STACK, "--yes") if gone else ("up", STACK)
    done = home.clone.plinth(*words)
    runs = "one run"
    if done.code:
        say(f"  {done.err.strip()[-300:]}")
        done, runs = home.clone.plinth(*words), "two runs"
    if done.code:
        return runs, f"exit code {done.code}: {done.err[-800:]}"
    return runs, "; ".join(_differences(home, gone=gone))


def _differences(home: Home, *, gone: bool) -> Iterator[str]:
    """What is not as though nobody had been killed."""
    clone = home.clone
    if wrong := _in_one_of_state_and_ledger(clone.home):
        yield f"only the state or only the ledger has {sorted(wrong)[:FEW]}"
    expected = Counter[str]() if gone else EXPECTED
    if found := +created(clone):
        if found != expected:
            yield f"there must be {dict(expected)}, got {dict(found)}"
    elif expected:
        yield "there is nothing"
    whole, now = ({} if gone else home.whole), says(clone)
    for urn in [urn for urn in sorted({*whole, *now}) if whole.get(urn) != now.get(urn)][:FEW]:
        yield f"{urn} must say {whole.get(urn)}, got {now.get(urn)}"
    if left := _packs_left(clone):
        yield f"policy packs are left: {left}"


def _in_one_of_state_and_ledger(home: Path) -> set[tuple[str, str]]:
    """URNs and ids that only one of them has; the cloud writes its ledger a little later."""
    end = time.monotonic() + GRACE_SECONDS
    while True:
        ledger = json.loads(state_files.ledger_file(home).read_text())
        made = {(urn, id) for urn, ids in ledger.items() for id in ids}
        wrong = {pair for pair in made ^ state_files.held(home) if PROVIDERS not in pair[0]}
        if not wrong or time.monotonic() > end:
            return wrong
        time.sleep(0.2)


def says(clone: Clone) -> dict[str, str]:
    """The resources of the state and what was asked of each, without what may differ."""
    latest = state_files.latest(clone.home, STACK)
    if pending := latest.get("pending_operations"):
        return {"pending": json.dumps(pending)}
    said: dict[str, str] = {}
    for resource in latest.get("resources") or []:
        urn = resource["urn"] + (" to be deleted" if resource.get("delete") else "")
        text = json.dumps(resource.get("inputs"), sort_keys=True)
        said[urn] = said.get(urn, "") + OWN.sub("*", text)
    return said


def _looked(clone: Clone) -> str:
    """What an `up` changes that reads the cloud first; makes it anew where nothing is deployed."""
    if not state_files.held(clone.home):
        return ""
    done = clone.plinth("up", STACK, "--refresh", "--json")
    if done.code:
        return done.err[-800:]
    changed = {kind: n for kind, n in done.json["changes"].items() if n and kind != "same"}
    return f"{changed} in the cloud" if changed else ""


def _packs_left(clone: Clone) -> list[int]:
    """Processes of policy packs of this home that outlived their engines for long."""
    mine = f"file://{state_files.state_folder(clone.home)}"
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
