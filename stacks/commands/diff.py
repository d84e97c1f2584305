"""`plinth diff ENV ENV`: what differs between two environments, by their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stacks.commands.output import CommandOutput

if TYPE_CHECKING:
    from stacks.settings.differences import Difference

ABSENT = "-"
SETTING_WIDTH = 42
"""Columns that a setting's path may take before it wraps."""


def diff(env: str, other: str, report: CommandOutput) -> dict[str, Any]:
    """Every setting that is not the same in both, of the environments and of all their stacks."""
    from stacks.settings.differences import differences

    found = differences(env, other)
    if not report.as_json:
        _show(env, other, found, report)
    return {
        "environments": [env, other],
        "differences": [
            {
                "file": item.file,
                "setting": item.setting,
                "values": dict(zip((env, other), item.values, strict=True)),
            }
            for item in found
        ],
    }


def _show(env: str, other: str, found: Sequence[Difference], report: CommandOutput) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not found:
        report.say(f"{env} and {other} have the same settings")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    longest = max(len(item.setting) for item in found)
    table.add_column("setting", overflow="fold", min_width=min(longest + 2, SETTING_WIDTH))
    for title in (env, other):
        table.add_column(title, overflow="fold")
    before = ""
    for item in found:
        if item.file != before:
            table.add_row(f"[bold]{item.file}[/]")
            before = item.file
        cells = [escape(told(value)) for value in item.values]
        table.add_row(f"  {item.setting or '(the whole stack)'}", *cells)
    report.out.print(table)


def told(value: Any) -> str:
    """A value in a cell."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {told(item)}" for key, item in value.items()) or "as by default"
    if isinstance(value, list):
        return ", ".join(told(item) for item in value) or "none"
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)
