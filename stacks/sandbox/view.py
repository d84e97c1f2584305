"""The commit of a checkout as files of its own: what a program in the sandbox sees of it.

A checkout holds more than its commit: `.env.local`, `.git-credentials`, `terraform.tfvars`, a
kubeconfig, a whole home. A list of such names would never be complete, so what git does not track
is not shown at all, and of git's own folder the commits alone. Blobs are written as they are: no
filter that the commit or the person configured is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from infra.errors import UserError

SHOWN_OF_GIT = ("objects", "refs")
"""Folders: commits, and which of them have names. Its config, logs and hooks hold addresses with
tokens in them, and programs."""

COPIED_OF_GIT = ("packed-refs", "shallow", "HEAD")
LINK, SUBMODULE = "120000", "160000"
EXECUTABLE = "100755"


def make(repository: Path, view: Path) -> list[tuple[str, str]]:
    """Write the files of the commit into an empty folder; what else is to be shown, as (where it
    is seen, where it is)."""
    entries = list(_entries(repository))
    # links last: nothing is written through one
    for mode, blob, name in sorted(entries, key=lambda entry: entry[0] == LINK):
        target = view / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == LINK:
            if not os.path.lexists(target):
                target.symlink_to(os.fsdecode(blob))
        elif mode != SUBMODULE:
            target.write_bytes(blob)
            target.chmod(0o755 if mode == EXECUTABLE else 0o644)
    return _git_folder(repository, view)


def _entries(repository: Path) -> Iterator[tuple[str, bytes, str]]:
    """Mode, content and name of every file of the commit."""
    listed = _git(repository, "ls-tree", "-r", "-z", "--full-tree", "HEAD")
    rows = [row.split(b"\t", 1) for row in listed.split(b"\0") if row]
    names = [(os.fsdecode(name), *head.decode().split()) for head, name in rows]
    blobs = [blob for _, mode, _, blob in names if mode != SUBMODULE]
    content = _git(repository, "cat-file", "--batch", given="".join(f"{b}\n" for b in blobs))
    place = 0
    for name, mode, _, blob in names:
        if mode == SUBMODULE:
            continue
        head, _, _ = content[place : place + 200].partition(b"\n")
        size = int(head.split()[2])
        begin = place + len(head) + 1
        place = begin + size + 1
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or {"..", ".git"} & {part.lower() for part in parts}:
            raise UserError(
                f"the commit must hold files inside of it, got {name!r}",
                fix=f"look at the tree of {blob} before you check anything out of it",
            )
        yield mode, content[begin : begin + size], name


def _git_folder(repository: Path, view: Path) -> list[tuple[str, str]]:
    own = Path(os.fsdecode(_git(repository, "rev-parse", "--absolute-git-dir").strip()))
    common = Path(os.fsdecode(_git(repository, "rev-parse", "--git-common-dir").strip()))
    common = common if common.is_absolute() else (repository / common).resolve()
    made = view / ".git"
    made.mkdir()
    for name in COPIED_OF_GIT:
        for place in (common, own):
            if (place / name).is_file():
                shutil.copyfile(place / name, made / name)
    for name in SHOWN_OF_GIT:
        (made / name).mkdir()
    _git(repository, "read-tree", "HEAD", index=made / "index")
    return [(str(repository / ".git" / name), str(common / name)) for name in SHOWN_OF_GIT]


def _git(repository: Path, *words: str, given: str = "", index: Path | None = None) -> bytes:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *words],
        cwd=repository,
        input=given.encode(),
        capture_output=True,
        check=False,
        env={
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            **({"GIT_INDEX_FILE": str(index)} if index is not None else {}),
        },
    )
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()[:300]
        raise UserError(
            f"{repository} must be a checkout with a commit, got from git: {told}",
            fix="name the folder that git cloned, and commit what is to be run",
        )
    return done.stdout
