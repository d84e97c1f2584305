"""Mocked synths that a review compares: of the stacks as their files say now, and at a revision."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import UserError
from stacks.paths import ROOT, shown
from stacks.review.git import checked
from stacks.settings.load import load
from stacks.stack_name import StackName, stacks_of
from stacks.synth import of_json, synthesize

if TYPE_CHECKING:
    from policies.data import Resource
    from stacks.commands.output import CommandOutput as Progress

SYNTH_SECONDS = 300


class Synths:
    """The synths of one review, each made once."""

    def __init__(self, stacks: Sequence[StackName], base: str | None, progress: Progress) -> None:
        self.stacks = stacks
        self._base = base
        self._progress = progress
        self._now: dict[StackName, list[Resource]] = {}
        self._then: Future[dict[StackName, list[Resource]]] | None = None
        # threads wait for processes here, while this one makes synths itself
        pool = ThreadPoolExecutor()
        if base is not None:
            self._then = pool.submit(_at, checked(base), stacks)
        self._definitions = {stack: pool.submit(_compiled, stack) for stack in stacks}
        pool.shutdown(wait=False)

    def now(self, stack: StackName) -> list[Resource]:
        """What a stack registers as files and programs are now."""
        if stack not in self._now:
            compiled = self._definitions.get(stack)
            with self._progress.stage("synth", f"mocked synth of {stack}") as stage:
                made = compiled.result() if compiled else _compiled(stack)
                self._now[stack] = synthesize(stack, load(stack), made)
                stage.done = f"{len(self._now[stack])} resources"
        return self._now[stack]

    def at_base(self, stack: StackName) -> list[Resource]:
        """What a stack registered at the base; nothing where it was none."""
        if self._then is None:
            return []
        if self._then.done():
            return self._then.result()[stack]
        with self._progress.stage("base", f"mocked synth at {self._base}") as stage:
            found = self._then.result()
            stage.done = f"{sum(map(len, found.values()))} resources"
        return found[stack]

    def beside(self, stack: StackName) -> dict[StackName, list[Resource]]:
        """What the other stacks of its environment register; UserError where one cannot."""
        return {other: self.now(other) for other in stacks_of(stack.env) if other != stack}


def _compiled(stack: StackName) -> dict[str, str]:
    from stacks.definitions import definitions  # takes seconds

    return definitions(load(stack))


def _at(revision: str, stacks: Sequence[StackName]) -> dict[StackName, list[Resource]]:
    """The synths of another revision, by its own code in its own folder."""
    with tempfile.TemporaryDirectory(prefix="plinth-base-") as folder:
        archive = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        there = [s for s in stacks if (Path(folder) / shown(s.file)).exists()]
        lines = _synthesized(revision, there, folder).splitlines() if there else []
    made = dict(zip(there, map(of_json, lines), strict=True))
    return {stack: made.get(stack, []) for stack in stacks}


def _synthesized(revision: str, stacks: Sequence[StackName], folder: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "stacks.synth", *map(str, stacks)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": folder},
        capture_output=True,
        text=True,
        timeout=SYNTH_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise UserError(
            f"{', '.join(map(str, stacks))} at {revision} must synthesize, got exit code "
            f"{done.returncode}: {lines[-1]}",
            fix="compare with a revision whose program runs with the installed packages",
        )
    return done.stdout
