"""`plinth sandbox`: a command on a checkout that nobody has read yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput
from stacks.sandbox import run as sandbox


def run(
    command: Sequence[str], repository: Path, output: Path, report: CommandOutput, **limits: int
) -> dict[str, Any]:
    """Run it, show what it printed as text, and fail as it did."""
    if not (repository / ".git").exists():
        raise UserError(
            f"--repository must be a checkout, got {repository}",
            fix="name the folder that git cloned",
        )
    repository, output = (Path(os.path.realpath(path)) for path in (repository, output))
    if output == repository:
        raise UserError(f"--output must be a folder of its own, got the checkout {output}")
    done = sandbox.run(
        command, repository=repository, output=output, limits=sandbox.SandboxLimits(**limits)
    )
    for line in done.text.splitlines():
        report.say(line)
    result = {
        "exit_code": done.code,
        "ended_by": done.ended_by,
        "files": list(done.files),
        "seconds": report.seconds,
    }
    if done.code:
        why = f"it was ended at {done.ended_by}" if done.ended_by else f"exit code {done.code}"
        raise CheckFailed(f"{command[0]} must succeed in the sandbox, got: {why}", data=result)
    return result
