"""`plinth logs`: the last lines of what endpoints, jobs, functions and the local cloud printed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from infra.errors import UserError
from stacks import garbage
from stacks.commands.output import CommandOutput
from stacks.settings.load import load
from stacks.stack_name import named
from stacks.targets.logs import Log, of_kind
from stacks.targets.target import target_of

POLL_SECONDS = 0.5


def logs(
    name: str, report: CommandOutput, *, kind: str | None, lines: int, follow: bool
) -> dict[str, Any]:
    """Show the end of each log, the newest last; with `follow`, what comes until interrupted."""
    stacks = named(name)
    settings = load(stacks[0])
    names = settings.names if "." in name else settings.names.platform
    found = of_kind(target_of(stacks[0].env).logs(names), kind)
    if not found:
        raise UserError(
            f"{name} must have logs of {kind or 'anything'}, got none yet",
            fix=f"see what runs: `plinth status {name}`",
        )
    shown = {log.place: log.read(lines) for log in found}
    for log in found:
        _show(log, shown[log.place], report)
    if follow:
        _follow(found, lines, report)
    return {
        "name": name,
        "logs": [
            {"kind": log.kind, "name": log.name, "place": log.place, "lines": shown[log.place]}
            for log in found
        ],
    }


def _show(log: Log, lines: Sequence[str], report: CommandOutput) -> None:
    from rich.markup import escape

    report.say(f"[bold]{log.kind} {escape(log.name)}[/]  {escape(log.place)}")
    for line in lines:
        report.say(f"  {escape(line)}")


def _follow(found: Sequence[Log], lines: int, report: CommandOutput) -> None:
    """Print lines that were not there in the round before; ends when it is interrupted."""
    from rich.markup import escape

    before = {log.place: log.read(10_000) for log in found}
    garbage.take_up()  # it may run for days
    while True:
        time.sleep(POLL_SECONDS)
        for log in found:
            now = log.read(10_000)
            old = before[log.place]
            fresh = now[len(old) :] if now[: len(old)] == old else now[-lines:]
            for line in fresh:
                report.say(f"{log.kind} {escape(log.name)}: {escape(line)}")
            before[log.place] = now
