"""Hostile artefacts: none may run, none may hang or fill the memory, each is refused with a reason.

    python -m tests.drills artefacts [--only WORD]

Each file is loaded in a process of its own, which ends with the case. Exit code 1 where one was
taken, left something behind, took longer than 20 s, or grew by more than a gigabyte.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pipelines.toolkit import archives
from serving.model import load
from serving.signature import ArtefactRefused
from tests.kits.hostile_archives import TARS, ZIPS
from tests.kits.hostile_models import FILES

SECONDS = 20.0
GROWTH_MIB = 1024

Take = Callable[[Path], None]
"""Makes an artefact in a folder and loads it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One hostile artefact."""

    name: str
    make: Callable[[Path], None]
    take: Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it."""

    name: str
    said: str
    """The refusal; empty where there was none."""

    seconds: float
    grown_mib: int
    left: tuple[str, ...]
    """Files that nobody but the artefact can have made."""

    @property
    def harm(self) -> str:
        if not self.said:
            return f"{self.name}: was not refused"
        if self.left:
            return f"{self.name}: left {', '.join(self.left)}"
        if self.seconds > SECONDS:
            return f"{self.name}: took {self.seconds:.1f} s"
        if self.grown_mib > GROWTH_MIB:
            return f"{self.name}: grew by {self.grown_mib} MiB"
        return ""


def _zip(path: Path) -> None:
    with path.open("rb") as file:
        archives.unpack_zip(file, path.parent / "inside" / "zip")


def cases() -> Iterator[Case]:
    for name, make in FILES.items():
        yield Case(name=f"model: {name}", make=make, take=load)
    for name, make in TARS.items():
        yield Case(
            name=f"tar: {name}",
            make=make,
            take=lambda path: archives.unpack(path, path.parent / "inside" / "tar"),
        )
    for name, make in ZIPS.items():
        yield Case(name=f"zip: {name}", make=make, take=_zip)


def tried(case: Case) -> Result:
    """One case, taken in a process that is killed when it is late."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder, "room")
        (room / "inside").mkdir(parents=True)
        case.make(room / "artefact")
        here, there = multiprocessing.Pipe(duplex=False)
        fork = multiprocessing.get_context("fork")
        begun = time.perf_counter()
        process = fork.Process(target=_take, args=(case, room, there))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 3.12, where a test has threads
            process.start()
        there.close()
        said, grown = "", 0
        try:
            if here.poll(SECONDS + 5):
                said, grown = here.recv()
        except EOFError:  # it ended with a traceback, or was ended
            said = ""
        seconds = time.perf_counter() - begun
        process.kill()
        process.join()
        places = [room.parent, room, room / "inside", Path("/tmp")]
        names = ("owned", "executed", "plinth-owned")
        left = [str(place / name) for place in places for name in names if (place / name).exists()]
        left += [str(path) for path in (room / "inside").rglob("*")]
    return Result(name=case.name, said=said, seconds=seconds, grown_mib=grown, left=tuple(left))


def _take(case: Case, room: Path, told: Connection) -> None:
    os.chdir(room)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = ""
    try:
        case.take(room / "artefact")
    except (ArtefactRefused, archives.Refused) as error:
        said = str(error)
    told.send((said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10))


def drill(asked: Iterable[Case]) -> list[Result]:
    import sklearn.ensemble  # noqa: F401
    import skops.io  # noqa: F401 - before the processes are forked

    return [tried(case) for case in asked]


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.drills artefacts", description=__doc__)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--say", action="store_true", help="print what was said of each")
    options = parser.parse_args(arguments)
    results = drill(case for case in cases() if options.only in case.name)
    harms = [result.harm for result in results if result.harm]
    counts = {
        "artefacts": len(results),
        "refused": sum(bool(result.said) for result in results),
        "harmful": len(harms),
        "slowest_s": round(max(result.seconds for result in results), 2),
        "most_grown_mib": max(result.grown_mib for result in results),
    }
    sys.stdout.write(json.dumps(counts) + "\n")
    for result in results if options.say else ():
        sys.stdout.write(f"{result.name}: {result.seconds:.2f} s: {result.said[:200]}\n")
    sys.stderr.write("".join(f"{harm}\n" for harm in harms))
    return int(bool(harms))
