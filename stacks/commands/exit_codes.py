"""How a command ends that did not do what was asked: its words and its exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from policies.secret_names import SECRET, says_secret, secret_items, without_secrets
from stacks.terminal import plain

EXIT_CHECK_FAILED = 1
EXIT_USER = 2
EXIT_BUG = 3
EXIT_INTERRUPTED = 130

DENIED = re.compile("AccessDenied|Unauthorized|NotAuthorized|AuthorizationError|ExpiredToken")
"""In codes of denials and of sessions that ended."""

OF_THE_MACHINE = frozenset({
    errno.EACCES, errno.EPERM, errno.EROFS,  # rights
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG,  # room
    errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM,  # limits of processes
    errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG,
    errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE,  # what lies at a path; what carries it
})  # fmt: skip
"""Faults of files, disks and limits, which the person can mend (POSIX, errno)."""


def failed(
    problem: str,
    fix: str,
    code: int,
    arguments: list[str],
    data: Mapping[str, Any] | None = None,
) -> int:
    """Say a problem and its fix on stderr, and as JSON where that was asked for."""
    import json

    problem = without_secrets(problem)
    sys.stderr.write(plain(f"plinth: {problem}\n" + (f"  fix: {fix}\n" if fix else "")))
    if "--json" in arguments:
        result = {**(data or {}), "error": problem, "fix": fix, "exit_code": code}
        with contextlib.suppress(OSError):  # whose fault may be what is told
            sys.stdout.write(json.dumps(result, sort_keys=True, default=str) + "\n")
    return code


def open_streams() -> None:
    """Let a command write even where whoever started it closed its output (`>&-`)."""
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()


def flushed(code: int) -> int:
    """The exit code once everything is written: another where that could not be."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # what is left would be tried again at the end (Python, signal, "Note on SIGPIPE")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return code or failed(
                f"standard output must take the result, got {error.strerror}", "", EXIT_USER, []
            )
    return code


def bug(error: Exception, arguments: list[str]) -> int:
    """Keep the traceback in a file that can be sent, and say where it is."""
    import platform
    import traceback
    from importlib.metadata import version

    from stacks.paths import home

    path = home() / "bug.md"
    trace = without_secrets("".join(traceback.format_exception(error)))
    versions = ", ".join(f"{name} {version(name)}" for name in ("plinth", "pulumi", "moto"))
    text = (
        f"`plinth {' '.join(without_secret(arguments))}` on {platform.platform()}, Python "
        f"{platform.python_version()}, {versions}\n\n```\n{trace}```\n"
    )
    problem = f"this is a bug of plinth: {type(error).__name__}: {error}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError:  # the report must not be lost with the disk
        return failed(f"{problem}\n{text}", "send us the text above", EXIT_BUG, arguments)
    return failed(problem, f"send us {path}", EXIT_BUG, arguments)


def without_secret(arguments: Sequence[str]) -> list[str]:
    """Arguments for a file that is sent to others: `--param ApiToken=...` without its value."""
    secret = set(secret_items(arguments))
    return [SECRET if n in secret else _argument(text) for n, text in enumerate(arguments)]


def _argument(text: str) -> str:
    """The name may have spaces around it: a person's own words are taken as they are."""
    name, given, _ = text.rpartition("=")
    return f"{name}={SECRET}" if given and says_secret(name) else without_secrets(text)


def of_a_cloud(error: Exception, arguments: list[str]) -> int:
    """Say that AWS denies this or cannot be asked; of anything else, a bug.

    A denial has status 401 or 403, or 400 with a code of its own (AWS service authorization
    reference; common errors of the JSON protocols).
    """
    if not type(error).__module__.startswith("botocore"):
        return bug(error, arguments)
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response["Error"].get("Code", "")
        if status not in (401, 403) and not DENIED.search(code):
            return bug(error, arguments)
        said = error.response["Error"].get("Message") or code
        problem = f"{error.operation_name} must be allowed, got {code}: {said}"
        fix = (
            "act as a role that may do it, with keys that are valid (`aws sts get-caller-identity`)"
        )
        return failed(problem, fix, EXIT_USER, arguments)
    if isinstance(error, _unasked(exceptions)):
        fix = "mend credentials, region or network, and type the command again"
        return failed(f"AWS must be asked, got {error}", fix, EXIT_USER, arguments)
    return bug(error, arguments)


def _unasked(exceptions: Any) -> tuple[type[Exception], ...]:
    """Faults of credentials and of the way to AWS (botocore, exceptions)."""
    return (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.SSOError,
        exceptions.NoRegionError,
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
    )


def of_the_machine(error: OSError, arguments: list[str]) -> int:
    """Say which file cannot be used and why. Of any other fault of the system a bug, but that some
    of botocore's are of this kind, too (exceptions, HTTPClientError)."""
    if error.errno not in OF_THE_MACHINE:
        return of_a_cloud(error, arguments)
    file = os.fsdecode(error.filename) if error.filename else "a file"
    problem = f"{file} must be one that can be read or written, got {error.strerror}"
    fix = "mend it, its rights or the room for it, and type the command again: nothing is lost"
    return failed(problem, fix, EXIT_USER, arguments)


def no_memory(arguments: list[str]) -> int:
    """Say that this machine, or a limit of the shell, is too small."""
    problem = "a command must have memory to work with, got none"
    return failed(problem, "end other programs, or raise `ulimit -v`", EXIT_USER, arguments)
