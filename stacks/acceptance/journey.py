"""Steps one after the other, each with its time and what it said; what was made is taken down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from infra.errors import CheckFailed, UserError

Outcome = Literal["passed", "failed", "not run"]
TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the way."""

    name: str
    act: Callable[[], Mapping[str, Any]]
    facts: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda said: {}
    """What of the answer belongs into the report. Default: nothing."""

    rows: Callable[[Mapping[str, Any]], Sequence[Mapping[str, str]]] = lambda said: ()
    """What of the answer is a table of its own in the report. Default: nothing."""

    takes_down: bool = False
    """Comes in any case once something may stand. Default: only after all before it passed."""

    makes: bool = False
    """From here on something may stand. Default: it only looks."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How one step ended."""

    name: str
    outcome: Outcome
    seconds: float
    facts: Mapping[str, Any]
    problem: str = ""
    """Why it failed, as the command says it."""

    rows: Sequence[Mapping[str, str]] = ()


def walk(steps: Sequence[Step], say: Callable[[str], None]) -> list[Done]:
    """Take every step; after one that fails only those that take down what stands.

    They come too where a step ends in an error of ours, which is raised after them.
    """
    found: list[Done] = []
    failed = stands = False
    ours: Exception | None = None
    for step in steps:
        if failed and not (step.takes_down and stands):
            found.append(Done(name=step.name, outcome="not run", seconds=0, facts={}))
            continue
        say(step.name)
        stands |= step.makes
        try:
            done = _taken(step)
        except Exception as error:  # noqa: BLE001 - what stands costs money
            ours, failed = ours or error, True
            continue
        failed |= done.outcome == "failed"
        found.append(done)
    if ours is not None:
        raise ours
    return found


def _taken(step: Step) -> Done:
    started = time.perf_counter()
    facts: Mapping[str, Any] = {}
    rows: Sequence[Mapping[str, str]] = ()
    problem = ""
    try:
        said = step.act()
        facts, rows = step.facts(said), step.rows(said)
    except (CheckFailed, UserError) as error:
        problem = str(error)
    return Done(
        name=step.name,
        outcome="failed" if problem else "passed",
        seconds=round(time.perf_counter() - started, 1),
        facts=facts,
        problem=problem,
        rows=rows,
    )


def unchanged(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The counts of a deployment that must have changed nothing; else CheckFailed."""
    moved = {name: n for name, n in said["changes"].items() if n and name != "same"}
    if moved:
        what = ", ".join(f"{n} {name}" for name, n in moved.items())
        raise CheckFailed(f"a second `up` must change nothing, got {what}")
    return {"same": said["changes"]["same"]}


def as_data(done: Sequence[Done]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(one) for one in done]


def page(title: str, facts: Mapping[str, Any], done: Sequence[Done]) -> str:
    """One HTML file that loads nothing."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(TEMPLATE.read_text())
    longest = max((one.seconds for one in done), default=0) or 1
    return template.render(title=title, facts=facts, done=done, longest=longest)
