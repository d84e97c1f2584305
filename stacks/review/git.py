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
ENGINES = ("pulumi", "pulumi-aws", "pulumi-kubernetes", "pulumi-policy")
"""Packages whose version decides what an update does with the same program."""

_PINNED = re.compile(r"^([a-z0-9-]+)==([^\s\\;]+)", re.MULTILINE)
_TEXT = (".py", ".json", ".yaml", ".yml", ".lock")
JUDGING = ("policies", "stacks/environments", ".ci", ".github", ".gitlab-ci.yml", LOCK)
"""What judges a change, and what stands between it and the cloud."""


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
    """Rules, environments, files of CI and the lock file at a revision; None: as they are now."""
    if revision is None:
        paths = [path for name in JUDGING for path in ((ROOT / name), *(ROOT / name).rglob("*"))]
        return {
            path.relative_to(ROOT).as_posix(): path.read_text(errors="replace")
            for path in paths
            if _is_text(path) and path.is_file()
        }
    have = [name for name in JUDGING if git("ls-tree", "--name-only", revision, name)]
    if not have:
        return {}
    packed = subprocess.run(
        ["git", "archive", revision, *have], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        return {
            member.name: content.read().decode(errors="replace")
            for member in archive
            if _is_text(Path(member.name)) and (content := archive.extractfile(member))
        }


def _is_text(path: Path) -> bool:
    """Scripts of CI have no suffix; bytecode is nobody's decision."""
    return path.suffix in _TEXT or (path.suffix in ("", ".md") and "__pycache__" not in path.parts)


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
