"""The report as a pull request comment: GitHub Markdown of at most 65,536 bytes.

Everything that comes from a program is escaped: a resource name must not be able to write a
heading, mention a person or end a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from policies.review.one_line import lines
from policies.review.render import mermaid
from policies.review.render.graph import Graph
from policies.review.report import Decision, Report, Risk, Row, Section

LIMIT_BYTES = 65_536
"""Of a comment's body (GitHub REST API, issue comments)."""

VISIBLE_ROWS = 30
"""More rows of one table are folded away."""

SHARE = 0.6
"""Of what is left, the most that one section may take: a long one must not hide the next."""

APART = "&#8203;"
"""A space of no width: an entity alone still mentions a person or links an issue."""

SPECIAL = str.maketrans(
    {c: f"&#{ord(c)};" for c in "&<>|`*[]()\\~!{}$:"} | {c: f"&#{ord(c)};{APART}" for c in "@#"}
)
UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""One that Markdown could read: between letters it is a part of the word."""

MARKS: dict[Risk, str] = {"low": "", "medium": "🟡", "high": "🟠", "critical": "🔴"}
DECISIONS: dict[Decision, str] = {
    "blocked": "🛑",
    "needs review": "👀",
    "safe": "✅",
    "no change": "⚪",
}


def tag(project: str, env: str) -> str:
    """The hidden first line by which a comment is found again."""
    return f"<!-- plinth-review {_escaped(project)}/{_escaped(env)} -->"


def render(
    report: Report,
    drawing: Graph | None = None,
    *,
    project: str = "plinth",
    limit_bytes: int = LIMIT_BYTES,
) -> str:
    """The comment; what does not fit is counted, never dropped silently."""
    head = [
        tag(project, report.env),
        _title(report.env, report.decision, report.risk),
        "",
        _tally(report),
        "",
        *(_reason_lines(report)),
        *(f"> ⚠️ {_escaped(warning)}" for warning in report.warnings),
    ]
    foot = f"\n<sub>{_escaped(_about(report))}</sub>\n"
    text = "\n".join(head) + "\n"
    for section in report.sections:
        left = limit_bytes - _bytes(text) - _bytes(foot) - 200
        text += _fitted(section, int(left * SHARE))
    picture = _picture(drawing) if drawing else ""
    if _bytes(text) + _bytes(picture) + _bytes(foot) <= limit_bytes:
        text += picture
    text += foot
    return _cut(text, limit_bytes)


def of_stacks(
    name: str,
    section: Section,
    reports: Sequence[tuple[Report, Graph]],
    *,
    project: str = "plinth",
    limit_bytes: int = LIMIT_BYTES,
) -> str:
    """A line for each stack of an environment, then the report of each that changes.

    They share the bytes that a comment may have; the first line is the only hidden one.
    """
    said = section.data
    head = f"{tag(project, name)}\n{_title(name, said['decision'], said['risk'])}\n"
    text = head + _section(replace(section, title="Stacks"), section.rows)
    for left, (report, drawing) in zip(range(len(reports), 0, -1), reports, strict=True):
        share = (limit_bytes - _bytes(text)) // left - 1
        told = render(report, drawing, project=project, limit_bytes=share)
        text += "\n" + told.partition("\n")[2]
    return text


def _title(name: str, decision: Decision, risk: Risk) -> str:
    return f"### {DECISIONS[decision]} {_escaped(name)}: {decision}, {risk} risk"


def _picture(drawing: Graph) -> str:
    """The changed part of the stack, folded away; the full report has a larger one."""
    chart = mermaid.render(drawing)
    if not chart:
        return ""
    left_out = mermaid.hidden(drawing)
    more = f"\n\n* {left_out} more resources are not drawn" if left_out else ""
    return (
        "\n<details><summary><b>What changes, and what hangs on it</b></summary>\n\n"
        f"```mermaid\n{chart}\n```{more}\n\n</details>\n"
    )


def of_section(section: Section, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """One section as a comment of its own."""
    return _fitted(section, limit_bytes).lstrip("\n")


def _tally(report: Report) -> str:
    shown = [f"**{count}** {name}" for name, count in report.tally.items() if count]
    return ", ".join(shown) or "nothing"


def _reason_lines(report: Report) -> list[str]:
    points = report.points
    found = points[:VISIBLE_ROWS]
    texts = [f"{r.message}. Fix: {r.fix}" if r.fix else r.message for r in found]
    lines = [
        f"* {MARKS[r.risk]} `{_escaped(r.rule)}` {_escaped(text)}"
        for r, text in zip(found, texts, strict=True)
    ]
    hidden = len(points) - len(found)
    return [*lines, f"* and {hidden} more"] if hidden > 0 else lines


def _about(report: Report) -> str:
    commit = f" at {report.commit[:12]}" if report.commit else ""
    base = f" against {report.base}" if report.base else ""
    return f"read from a {report.origin}{commit}{base}"


def _fitted(section: Section, limit_bytes: int) -> str:
    """The section with as many rows as fit."""
    shown = list(section.rows)
    while shown:
        text = _section(section, shown)
        if _bytes(text) <= limit_bytes:
            return text
        shown = shown[: len(shown) // 2]
    text = _section(section, [])
    return text if _bytes(text) <= limit_bytes else ""


def _section(section: Section, rows: Sequence[Row]) -> str:
    hidden = len(section.rows) - len(rows)
    table = _table(section.columns, rows) if rows else ""
    notes = [_escaped(note) for note in section.notes]
    if hidden:
        notes.append(f"{hidden} more rows are in the full report")
    details = [
        f"{_escaped(' '.join(row.cells[:3]))}\n\n```\n{_fenced(row.detail)}\n```"
        for row in rows
        if row.detail
    ]
    folded = section.folded or len(rows) > VISIBLE_ROWS
    body = "\n\n".join(part for part in (table, "\n".join(f"* {n}" for n in notes)) if part)
    if details:
        body += (
            "\n\n<details><summary>details</summary>\n\n" + "\n\n".join(details) + "\n\n</details>"
        )
    title = _escaped(section.title)
    if folded:
        return f"\n<details><summary><b>{title}</b></summary>\n\n{body}\n\n</details>\n"
    return f"\n#### {title}\n\n{body}\n"


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [f"| | {' | '.join(map(_escaped, columns))} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {MARKS[row.risk]} | {' | '.join(map(_escaped, row.cells))} |" for row in rows]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Text that stays text, on one line."""
    return " ".join(UNDERSCORE.sub("&#95;", text.translate(SPECIAL)).split())


def _fenced(text: str) -> str:
    """Text inside a code fence that cannot end it."""
    return lines(text).replace("```", "'''")


def _bytes(text: str) -> int:
    return len(text.encode())


def _cut(text: str, limit_bytes: int) -> str:
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text
    note = "\n\n(cut: the full report has the rest)\n"
    return raw[: limit_bytes - len(note.encode())].decode(errors="ignore") + note
