"""What a program left in its folder, read as what it is: the program may be anybody's.

A link may lead to files that the program itself could not see, a name may be that of a pipe or a
device, a file larger than memory, a folder deeper than Python's calls. Whoever reads here does so
once the program's processes are over.
"""

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

READ_BYTES = 64_000_000
"""Most that is read of one file into the local cloud's own memory."""


class LeadsOut(Exception):
    """A path leads out of the folder of the program that left it; the text names it."""


def within(root: Path, path: Path) -> Path:
    """Where a path lies, all its links followed; LeadsOut where that is not below the root."""
    found = Path(os.path.realpath(path))
    if not found.is_relative_to(os.path.realpath(root)):
        raise LeadsOut(f"{path.relative_to(root)} leads out of its folder")
    return found


def content(root: Path, path: Path, limit: int = READ_BYTES) -> bytes:
    """The begin of a plain file below the root; nothing where there is none or something else."""
    try:
        descriptor = os.open(within(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (OSError, LeadsOut):
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def files(root: Path, folder: Path) -> list[Path]:
    """Every plain file below a folder, linked folders left out, in the order of their names.

    LeadsOut where a link to a file leads out of the root; OSError where a path is too long.
    """
    return sorted(_files(root, folder))


def _files(root: Path, folder: Path) -> Iterator[Path]:
    waiting = [within(root, folder)]
    while waiting:
        place = waiting.pop()
        for entry in os.scandir(place) if place.is_dir() else ():
            path = place / entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_file():
                within(root, path)
                yield path


def is_socket(path: Path) -> bool:
    """Whether a Unix socket lies there itself, not a link to somebody else's."""
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def bring(source: Path, root: Path, target: Path) -> None:
    """Move a file or folder to where a program that runs finds it; OSError where it made a link.

    Folder by folder, each opened as what it is (openat(2), O_NOFOLLOW).
    """
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in target.relative_to(root).parts[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=here)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            below = os.open(name, flags, dir_fd=here)
            os.close(here)
            here = below
        os.rename(source, target.name, dst_dir_fd=here)
    finally:
        os.close(here)


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it, however deep, as far as that can be done."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):  # deeper than Python's calls, or than its descriptors
        subprocess.run(["rm", "-rf", "--", folder], check=False, capture_output=True)
