"""Which controls of the frameworks pass after the change, and which fail since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policies.frameworks.control import Framework
from policies.frameworks.controls import frameworks
from policies.frameworks.results import Result, State, by_rule, results
from policies.review.model import StackChange
from policies.review.report import Context, Row, Section

NAMES = 8
"""Controls that one row lists."""

NOTHING: State = "no resource"


@dataclass(frozen=True, slots=True)
class Side:
    """One framework before or after the change."""

    results: Sequence[Result]

    def ids(self, state: State) -> list[str]:
        """The controls in this state."""
        return [result.control.id for result in self.results if result.state == state]

    @property
    def share(self) -> str:
        """Controls that pass, of those whose rules found something to judge."""
        judged = [result for result in self.results if result.state != NOTHING]
        return f"{len(self.ids('passed'))}/{len(judged)}"


def part(change: StackChange, context: Context) -> Section | None:
    """A row for each framework in which a failure comes or goes; nothing where none does.

    No reason of its own: a control fails because a policy does, and that one speaks for itself.
    """
    del change
    if not context.findings_after:
        return None
    before, after = by_rule(context.findings_before), by_rule(context.findings_after)
    sides = [
        (subject, Side(results(subject, before)), Side(results(subject, after)))
        for subject in frameworks().values()
    ]
    rows = [row for each in sides if (row := _row(*each))]
    if not rows:
        return None
    line = ", ".join(f"{subject.starred} {side.share}" for subject, _, side in sides)
    covered = ", ".join(
        f"{subject.starred} {len(subject.covered)} of {len(subject.controls)}"
        for subject, _, _ in sides
    )
    return Section(
        id="coverage",
        title="Frameworks",
        columns=("framework", "pass", "before", "what"),
        rows=rows,
        notes=[
            f"controls that pass, of those that had something to judge: {line}",
            f"controls with a rule, of those that are listed: {covered}",
            "* by our own reading of the framework; no rule makes anybody comply",
        ],
        data={
            "frameworks": {subject.id: _data(subject, was, side) for subject, was, side in sides}
        },
    )


def _row(subject: Framework, before: Side, after: Side) -> Row | None:
    failed, was = after.ids("failed"), before.ids("failed")
    new = [name for name in failed if name not in was]
    fixed = [name for name in was if name not in failed]
    if not new and not fixed:
        return None
    words = (("fails now", new), ("fails no longer", fixed))
    what = "; ".join(f"{word}: {_names(ids)}" for word, ids in words if ids)
    return Row(
        cells=(subject.starred, after.share, before.share, what), risk="medium" if new else "low"
    )


def _names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMES} more" if len(ids) > NAMES else ""
    return f"{', '.join(ids[:NAMES])}{more}"


def _data(subject: Framework, before: Side, after: Side) -> dict[str, Any]:
    was = before.ids("failed")
    return {
        "version": subject.version,
        "listed": len(subject.controls),
        "covered": len(subject.covered),
        "judgement": subject.judgement,
        "passed": after.ids("passed"),
        "failed": after.ids("failed"),
        "undecided": after.ids("undecided"),
        "exempt": after.ids("exempt"),
        "newly_failed": [name for name in after.ids("failed") if name not in was],
    }
