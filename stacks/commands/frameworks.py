"""`plinth policy ENV --framework NAME`: its findings by the controls of a framework."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.commands.output import CommandOutput

if TYPE_CHECKING:
    from policies.frameworks.control import Framework
    from policies.frameworks.results import Result
    from policies.offline import RuleFinding

NAMES = 6
"""Rules that a row names; all of them are in the result of --json."""

STYLES = {"failed": "red", "undecided": "yellow", "passed": "green"}


def framework(name: str) -> Framework:
    """The framework of this name; UserError with the nearest where there is none."""
    from policies.frameworks.controls import frameworks

    known = frameworks()
    if name not in known:
        [near] = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0)
        names = ", ".join(known)
        raise UserError(
            f"--framework must be one of {names}, got {name!r}; the nearest is {near}",
            fix=f"type --framework {near}",
        )
    return known[name]


def judged(
    subject: Framework, findings: Sequence[RuleFinding], report: CommandOutput
) -> dict[str, Any]:
    """Show every control with its result, then those that no rule decides; the same as data."""
    from policies.frameworks.results import by_rule, results, tally

    found = results(subject, by_rule(findings))
    counts = tally(found)
    if not report.as_json:
        _show(subject, found, report)
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        report.say(
            f"{subject.id}: {len(found)} of {len(subject.controls)} listed controls have a rule; "
            f"here {said}. Rules decide settings; nobody complies by them alone."
        )
    return {
        "id": subject.id,
        "title": subject.title,
        "version": subject.version,
        "scope": subject.scope,
        "listed": len(subject.controls),
        "covered": len(found),
        "states": counts,
        "controls": [_data(result) for result in found],
        "not_covered": [
            {"control": each.id, "asks": each.asks, "why": each.leaves}
            for each in subject.uncovered
        ],
    }


def _data(result: Result) -> dict[str, Any]:
    control = result.control
    return {
        "control": control.id,
        "asks": control.asks,
        "decided": control.decided,
        "leaves": control.leaves,
        "judgement": control.judgement,
        "rules": list(control.rules),
        "deltas": list(control.deltas),
        "state": result.state,
        "counts": dict(result.counts),
    }


def _show(subject: Framework, found: Sequence[Result], report: CommandOutput) -> None:
    from rich.markup import escape
    from rich.table import Table

    report.say(f"[bold]{escape(subject.title)}[/], {escape(subject.version)}")
    report.say(f"Listed: {escape(subject.scope)}.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("control", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("what it asks, and the rules about it", overflow="fold")
    for result in found:
        style = STYLES.get(result.state, "")
        table.add_row(_name(result), f"[{style}]{result.state}[/]" if style else result.state,
                      escape(_about(result)))  # fmt: skip
    report.out.print(table)
    if any(result.control.judgement for result in found):
        report.say("* our reading of the framework: no public tool publishes this mapping")
    report.say("\n[bold]No rule decides[/]")
    rest = Table(box=None, pad_edge=False, show_header=False)
    rest.add_column(overflow="fold", max_width=24)
    rest.add_column(overflow="fold")
    for (asks, why), group in groupby(subject.uncovered, key=lambda each: (each.asks, each.leaves)):
        rest.add_row(", ".join(each.id for each in group), escape(f"{asks} ({why})"))
    report.out.print(rest)


def _name(result: Result) -> str:
    return f"{result.control.id} *" if result.control.judgement else result.control.id


def _about(result: Result) -> str:
    control = result.control
    asks = f"{control.asks}; left open: {control.leaves}" if control.leaves else control.asks
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items() if count)
    told = result.told if result.state in ("failed", "undecided") else control.rules
    more = f" and {len(told) - NAMES} more" if len(told) > NAMES else ""
    rules = f"{', '.join(told[:NAMES])}{more}"
    if told != control.rules:
        rules = f"{rules} of {len(control.rules)} rules"
    deltas = f"; in a review: {', '.join(control.deltas)}" if control.deltas else ""
    return f"{asks}\n{counts + ': ' if counts else ''}{rules}{deltas}"
