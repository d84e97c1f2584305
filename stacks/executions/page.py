"""An execution as one file of HTML: nothing is loaded, nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.review.render.graph import Box, Graph, placed, svg, words
from stacks.executions.record import ExecutionRecord, StepRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

TEMPLATE = Path(__file__).with_name("page.html.j2")
DRAWN = 120
"""More steps are no picture; they stand in the timeline."""

TITLE = "Steps, and what they wait for"


def render(record: ExecutionRecord) -> str:
    """The page; every text of the execution is escaped by the template engine."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    drawing = graph(record.steps)
    return environment.from_string(TEMPLATE.read_text()).render(
        record=record,
        title=f"{record.pipeline}: {record.status}",
        facts=_facts(record),
        bars=[_bar(record, step) for step in record.steps],
        drawing=Markup(svg(drawing)),
        words=words(drawing),
        hidden=drawing.hidden,
    )


def graph(steps: Sequence[StepRecord]) -> Graph:
    """A box per step, and an arrow from what it waits for."""
    kept = steps[:DRAWN]
    boxes = [Box(step.name, step.name, step.type, step.status) for step in kept]
    names = {box.id for box in boxes}
    edges = sorted((before, step.name) for step in kept for before in step.needs if before in names)
    return Graph(placed(boxes, edges), edges, len(steps) - len(kept), TITLE)


def _facts(record: ExecutionRecord) -> dict[str, str]:
    return {
        "began": f"{record.start:%Y-%m-%d %H:%M:%S %Z}",
        "took": took((record.end - record.start).total_seconds()),
        "execution": record.arn,
        **({"failed because": record.failure} if record.failure else {}),
        **record.parameters,
    }


def _bar(record: ExecutionRecord, step: StepRecord) -> dict[str, Any]:
    """Where a step's bar begins in the timeline and how long it is, in per cent."""
    whole = max((record.end - record.start).total_seconds(), 0.001)

    def share(moment: datetime) -> float:
        return min(100.0, max(0.0, 100 * (moment - record.start).total_seconds() / whole))

    if step.start is None:
        return {"left": 0.0, "width": 0.0, "took": ""}
    left, right = share(step.start), share(step.end or record.end)
    return {
        "left": round(min(left, 99.0), 2),
        "width": round(max(right - left, 1.0), 2),
        "took": took(step.seconds) if step.end else "runs",
    }


def took(seconds: float) -> str:
    """A duration in words."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
