"""The report as one file of HTML: nothing is loaded, nothing runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from policies.review.render.graph import Graph, svg, words
from policies.review.report import Report

if TYPE_CHECKING:
    import jinja2

ROWS = 60
"""A longer table is folded away: what matters of it stands above, and a phone is small."""

TEMPLATE = Path(__file__).with_name("report.html.j2")


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(TEMPLATE.read_text())


def render(report: Report, drawing: Graph | None = None) -> str:
    """The page; every text of the stack is escaped by the template engine."""
    from markupsafe import Markup

    return _template().render(
        report=report,
        rows_max=ROWS,
        visible=report.points,
        drawing=Markup(svg(drawing)) if drawing else "",
        words=words(drawing) if drawing else [],
        hidden=drawing.hidden if drawing else 0,
    )
