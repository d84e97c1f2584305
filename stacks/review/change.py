"""What a stack's change is, from the first that can be had: a digest, an engine, two synths."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.paths import ROOT
from stacks.review.git import checked, clean_commit, git
from stacks.review.replacements import differ, undecided
from stacks.settings.model import Settings
from stacks.stack_name import StackName
from stacks.synth import synth_of
from stacks.targets.target import target_of
from stacks.targets.work import engine_of, preview_steps

if TYPE_CHECKING:
    from policies.data import Resource
    from policies.review.model import StackChange
    from stacks.commands.output import CommandOutput as Progress

SYNTH_SECONDS = 300


def change_of(
    stack: StackName, settings: Settings, progress: Progress, base: str | None, digest: Path | None
) -> StackChange:
    """The change, from the first of: a digest, an engine with a cloud, two mocked synths."""
    from policies.review import digest as reader

    commit = git("rev-parse", "HEAD")
    if digest is not None:
        return read_digest(str(stack), digest)
    if base is None and target_of(stack.env).can_deploy():
        steps = preview_steps(stack, progress)
        change = reader.of_digest({"steps": steps}, str(stack), commit=commit)
        return _enriched(change, _synth(stack, progress))
    return _of_commits(stack, settings, base or "HEAD", commit, progress)


def binding_of(stack: StackName, change: StackChange, progress: Progress) -> dict[str, Any]:
    """What `plinth up --plan` holds to, where an engine with a state was asked."""
    if change.origin != "local preview":
        return {}
    from stacks.review.binding import binding

    return {"binding": binding(clean_commit(), engine_of(stack, progress).deployment())}


def read_digest(env: str, path: Path) -> StackChange:
    from policies.review import digest as reader

    try:
        return reader.read(path.read_text(), env, commit=git("rev-parse", "HEAD"))
    except OSError as error:
        raise UserError(f"{path} must be a file, got {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}", fix="write it with `pulumi preview --json`") from None


def read_drift(path: Path) -> list[str]:
    """What a refresh found, as its event log tells."""
    from policies.review.digest import drift

    try:
        return drift(path.read_text())
    except OSError as error:
        raise UserError(f"{path} must be a file, got {error.strerror}") from None
    except ValueError as error:
        fix = "write it with `pulumi refresh --preview-only --event-log FILE`"
        raise UserError(f"{path}: {error}", fix=fix) from None


def _synth(stack: StackName, progress: Progress) -> list[Resource]:
    with progress.stage("synth", f"mocked synth of {stack}") as stage:
        found = synth_of(stack)
        stage.done = f"{len(found)} resources"
    return found


def _of_commits(
    stack: StackName, settings: Settings, base: str, commit: str, progress: Progress
) -> StackChange:
    """Two mocked synths: of this working tree, and of a revision of the repository."""
    from policies.review.compare import compare

    after = _synth(stack, progress)
    with progress.stage("base", f"mocked synth of {stack} at {base}") as stage:
        before = _synth_of(stack, base)
        stage.done = f"{len(before)} resources"
    region = settings.environment.account.region
    change = compare(str(stack), before, after, differ=differ(region), commit=commit, base=base)
    return replace(change, warnings=[*change.warnings, *undecided(change.changes)])


def _synth_of(name: StackName, revision: str) -> list[Resource]:
    """The synth of another revision, by its own code in its own folder."""
    from stacks.synth import of_json

    checked(revision)
    with tempfile.TemporaryDirectory(prefix="plinth-base-") as folder:
        archive = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        if not (Path(folder) / name.file.relative_to(ROOT)).exists():
            return []
        done = subprocess.run(
            [sys.executable, "-m", "stacks.synth", str(name)],
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
            f"{name} at {revision} must synthesize, got exit code {done.returncode}: {lines[-1]}",
            fix="compare with a revision whose program runs with the installed packages",
        )
    return of_json(done.stdout)


def _enriched(change: StackChange, resources: Sequence[Resource]) -> StackChange:
    """Engine events carry neither dependencies nor source lines: the synth has both."""
    known = {item.urn: item for item in resources}

    def full(item: Resource | None) -> Resource | None:
        seen = known.get(item.urn) if item else None
        if item is None or seen is None:
            return item
        return replace(item, dependencies=seen.dependencies, source=seen.source)

    changes = [replace(item, old=full(item.old), new=full(item.new)) for item in change.changes]
    return replace(change, origin="local preview", changes=changes)
