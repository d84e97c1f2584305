"""The report in a terminal, as wide as the window is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.review.one_line import lines
from policies.review.report import Report, Risk, Section

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STYLES: dict[Risk, str] = {"low": "", "medium": "yellow", "high": "dark_orange", "critical": "red"}
DECISIONS = {"blocked": "bold red", "needs review": "bold yellow", "safe": "bold green"}


def show(report: Report, console: Console) -> None:
    """Print it: verdict first, then what speaks against it, then the sections."""
    style = DECISIONS.get(report.decision, "bold")
    console.print(plain(report.headline, style))
    for reason in report.points:
        where = f"  {reason.source.path}:{reason.source.line}" if reason.source else ""
        text = f"{reason.rule} {reason.message}{where}"
        _indented(console, plain(text, STYLES[reason.risk]), 2)
        if reason.fix:
            _indented(console, plain(f"fix: {reason.fix}", "dim"), 4)
    for section in report.sections:
        console.print()
        show_section(section, console)
    for warning in report.warnings:
        console.print(plain(f"warning: {warning}", "yellow"))
    base = f" against {report.base}" if report.base else ""
    console.print(plain(f"read from a {report.origin}{base}", "dim"))
    console.print(plain(f"{report.decision} ({report.risk} risk) for {report.env}", style))


def _indented(console: Console, text: Text, columns: int) -> None:
    """Every line of it, those that wrap too; where nothing wraps, such as in a log, one line."""
    from rich.padding import Padding
    from rich.text import Text

    if console.soft_wrap:
        console.print(Text(" " * columns) + text)
    else:
        console.print(Padding(text, (0, 0, 0, columns), expand=False))


def plain(text: str, style: str = "") -> Text:
    """Text of a program, shown as it is and nothing else."""
    from rich.text import Text

    return Text(lines(text), style=style)


def show_section(section: Section, console: Console) -> None:
    """One section: its title, table and notes."""
    from rich.table import Table

    console.print(plain(section.title, "bold"))
    if section.rows:
        table = Table(box=None, pad_edge=False, show_header=any(section.columns))
        for column in section.columns:
            table.add_column(column, overflow="fold")
        for row in section.rows:
            table.add_row(*(plain(cell, STYLES[row.risk]) for cell in row.cells))
        console.print(table)
    for note in section.notes:
        _indented(console, plain(note, "dim"), 2)
