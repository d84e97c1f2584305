"""How a command ends that did not do what was asked: its words and its exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping
from typing import Any

EXIT_CHECK_FAILED = 1
EXIT_USER = 2
EXIT_BUG = 3
EXIT_INTERRUPTED = 130

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Faults of a disk or its rights, which the person can mend (POSIX, errno)."""


def failed(
    problem: str,
    fix: str,
    code: int,
    arguments: list[str],
    data: Mapping[str, Any] | None = None,
) -> int:
    """Say a problem and its fix on stderr, and as JSON where that was asked for."""
    import json

    sys.stderr.write(f"plinth: {problem}\n" + (f"  fix: {fix}\n" if fix else ""))
    if "--json" in arguments:
        result = {**(data or {}), "error": problem, "fix": fix, "exit_code": code}
        sys.stdout.write(json.dumps(result, sort_keys=True, default=str) + "\n")
    return code


def bug(error: Exception, arguments: list[str]) -> int:
    """Keep the traceback in a file that can be sent, and say where it is."""
    import platform
    import traceback
    from importlib.metadata import version

    from stacks.paths import home

    path = home() / "bug.md"
    trace = "".join(traceback.format_exception(error))
    versions = ", ".join(f"{name} {version(name)}" for name in ("plinth", "pulumi", "moto"))
    text = (
        f"`plinth {' '.join(arguments)}` on {platform.platform()}, Python "
        f"{platform.python_version()}, {versions}\n\n```\n{trace}```\n"
    )
    problem = f"this is a bug of plinth: {type(error).__name__}: {error}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError:  # the report must not be lost with the disk
        return failed(f"{problem}\n{text}", "send us the text above", EXIT_BUG, arguments)
    return failed(problem, f"send us {path}", EXIT_BUG, arguments)


def no_room(error: OSError, arguments: list[str]) -> int:
    """Say which file cannot be written and why; of any other fault of a file, a bug."""
    if error.errno not in NO_ROOM:
        return bug(error, arguments)
    problem = f"{error.filename or 'a file'} must be one that can be written, got {error.strerror}"
    fix = "free room or mend its rights, and type the command again: nothing is lost"
    return failed(problem, fix, EXIT_USER, arguments)
