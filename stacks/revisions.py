"""Files of another revision of the repository, and what of them a review compares."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import UserError
from stacks.paths import ROOT

if TYPE_CHECKING:
    from policies.review.pack import Pack

LOCK = "requirements.lock"
POLICIES = "policies"
ENGINES = ("pulumi", "pulumi-aws", "pulumi-kubernetes", "pulumi-policy")
"""Packages whose version decides what an update does with the same program."""

_PINNED = re.compile(r"^([a-z0-9-]+)==([^\s\\;]+)", re.MULTILINE)
_TEXT = (".py", ".json", ".yaml", ".lock")


def git(*arguments: str) -> str:
    """What git says; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def clean_commit() -> str:
    """The commit that the working tree is; with a mark where tracked files differ from it."""
    commit = git("rev-parse", "HEAD")
    return f"{commit}-changed" if git("status", "--porcelain", "--untracked-files=no") else commit


def exists(revision: str) -> bool:
    """Whether the repository has this commit."""
    return bool(git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"))


def checked(revision: str) -> str:
    """The revision; UserError where there is none of this name."""
    if not exists(revision):
        raise UserError(
            f"--base must be a revision of this repository, got {revision!r}",
            fix="name a branch, a tag or a commit; fetch it first if it is remote",
        )
    return revision


def judging(revision: str | None) -> Mapping[str, str]:
    """The rules and the lock file at a revision; None: as they are now."""
    if revision is None:
        paths = [*(ROOT / POLICIES).rglob("*"), ROOT / LOCK]
        return {
            path.relative_to(ROOT).as_posix(): path.read_text()
            for path in paths
            if path.suffix in _TEXT and path.is_file()
        }
    have = [name for name in (POLICIES, LOCK) if git("ls-tree", "--name-only", revision, name)]
    if not have:
        return {}
    packed = subprocess.run(
        ["git", "archive", revision, *have], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        return {
            member.name: content.read().decode()
            for member in archive
            if Path(member.name).suffix in _TEXT and (content := archive.extractfile(member))
        }


def versions(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Engine and providers whose locked version differs."""
    old, new = (dict(_PINNED.findall(files.get(LOCK, ""))) for files in (before, after))
    return {
        name: (old[name], new[name])
        for name in ENGINES
        if name in old and name in new and old[name] != new[name]
    }


def packs(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Pack | None, Pack | None]:
    """The rules of both; a base whose exemptions cannot be read has none to compare with."""
    from policies.review.pack import pack

    try:
        return pack(before), pack(after)
    except ValueError:
        return None, pack(after)
