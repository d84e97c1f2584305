"""The report as one file of HTML: nothing is loaded, nothing runs."""

from __future__ import annotations

from pathlib import Path

from policies.review.render.graph import Graph, svg
from policies.review.report import Report

TEMPLATE = Path(__file__).with_name("report.html.j2")


def render(report: Report, drawing: Graph | None = None) -> str:
    """The page; every text of the stack is escaped by the template engine."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        report=report,
        visible=[reason for reason in report.reasons if reason.risk != "low"],
        drawing=Markup(svg(drawing)) if drawing else "",
        hidden=drawing.hidden if drawing else 0,
    )
