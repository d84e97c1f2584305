"""`plinth review`: one report about a stack change, from whatever can be known here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput as Progress
from stacks.paths import shown
from stacks.review.change import binding_of, change_of, read_drift
from stacks.review.report import headroom_of, report_of
from stacks.settings.load import load
from stacks.stack_name import StackName, named

if TYPE_CHECKING:
    from policies.review.model import StackChange
    from policies.review.report import Report

SUFFIXES = {".md": "markdown", ".html": "html", ".sarif": "sarif", ".json": "json"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a review is asked to compare, and how to show it."""

    base: str | None
    digest: Path | None
    drift: Path | None
    quotas: Path | None
    form: str | None
    output: Sequence[Path]

    @property
    def files(self) -> list[Path]:
        """Files that are about one stack."""
        return [path for path in (self.digest, self.drift, self.quotas) if path is not None]


def review(name: str, progress: Progress, **asked: Any) -> dict[str, Any]:
    """Review a change of one stack, or of all stacks of an environment with their roll-up.

    A blocked one is a failed check, and the report is written all the same.
    """
    wanted, stacks = Asked(**asked), named(name)
    if len(stacks) == 1 and "." in name:
        return _of_stack(stacks[0], progress, wanted)
    if wanted.files:
        raise UserError(
            f"{wanted.files[0]} is about one stack, got environment {name}",
            fix=f"name one, such as {stacks[0]}",
        )
    return _of_environment(name, stacks, progress, wanted)


def _of_stack(stack: StackName, progress: Progress, asked: Asked) -> dict[str, Any]:
    """One report, in every format that is wanted."""
    forms = {path: _form(asked.form, path) for path in asked.output or (None,)}
    report, change, result = _reviewed(stack, progress, asked)
    _tell_github(report)
    for path, wanted in forms.items():
        if wanted == "terminal":
            _show(report, progress)
        else:
            _write(_text(report, change, stack, result, wanted), report, progress, path)
    if report.decision == "blocked":
        raise CheckFailed(_blocked(str(stack), report), data=result)
    return result


def _of_environment(
    name: str, stacks: Sequence[StackName], progress: Progress, asked: Asked
) -> dict[str, Any]:
    """A report for every stack, and a line for each; terminal, Markdown or JSON."""
    from policies.review.render.data import json_text

    forms = {path: _form(asked.form, path) for path in asked.output or (None,)}
    if unfit := sorted({form for form in forms.values()} - set(OF_SEVERAL)):
        raise UserError(
            f"the format of an environment's review must be one of {', '.join(OF_SEVERAL)}, "
            f"got {', '.join(unfit)}",
            fix=f"name one stack, such as {stacks[0]}",
        )
    found = {stack: _reviewed(stack, progress, asked) for stack in stacks}
    result = {
        "name": name,
        "decision": max((report.decision for report, _, _ in found.values()), key=DECISIONS.index),
        "risk": max((report.risk for report, _, _ in found.values()), key=RISKS.index),
        "stacks": {str(stack): said for stack, (_, _, said) in found.items()},
    }
    for path, form in forms.items():
        if form == "terminal":
            _roll_up(name, found, progress)
            continue
        texts = [
            _text(report, change, stack, said, form)
            for stack, (report, change, said) in found.items()
        ]
        text = json_text(result) if form == "json" else "\n".join(texts)
        if path is not None:
            path.write_text(text)
        elif not progress.as_json:
            sys.stdout.write(text)
    blocked = [_blocked(str(s), r) for s, (r, _, _) in found.items() if r.decision == "blocked"]
    if blocked:
        raise CheckFailed("\n".join(blocked), data=result)
    return result


OF_SEVERAL = ("terminal", "markdown", "json")
DECISIONS = ("no change", "safe", "needs review", "blocked")
RISKS = ("low", "medium", "high", "critical")


def _roll_up(
    name: str, found: Mapping[StackName, tuple[Report, StackChange, Any]], progress: Progress
) -> None:
    """What changes first, in full; then a line for every stack."""
    for report, _, _ in found.values():
        if report.decision != "no change":
            _show(report, progress)
    rows = {
        str(stack): f"{report.decision}, {report.risk} risk: {report.headline}"
        for stack, (report, _, _) in found.items()
    }
    progress.table(f"{name}: {len(found)} stacks", rows)


def _blocked(name: str, report: Report) -> str:
    reasons = "\n".join(f"  {r.rule} {r.message}" for r in report.reasons if r.blocks)
    return f"the change of {name} is blocked:\n{reasons}"


def _reviewed(
    stack: StackName, progress: Progress, asked: Asked
) -> tuple[Report, StackChange, dict[str, Any]]:
    """The report of a stack's change, the change, and what `--json` prints."""
    from policies.review.render.data import to_dict

    settings = load(stack)
    change = change_of(stack, settings, progress, asked.base, asked.digest)
    if asked.drift is not None:
        change = replace(change, drifted=read_drift(asked.drift))
    with progress.stage("review", f"review {stack}") as stage:
        headroom = headroom_of(change, stack, settings, asked.quotas)
        report = report_of(change, settings, asked.base or "HEAD", headroom)
        stage.done = report.decision
    return report, change, to_dict(report) | binding_of(stack, change, progress)


def _text(
    report: Report, change: StackChange, stack: StackName, result: dict[str, Any], form: str
) -> str:
    from policies.review.render.data import json_text

    return json_text(result) if form == "json" else rendered(report, change, stack, form)


def _tell_github(report: Report) -> None:
    """Outputs of a job's step, for the jobs that wait for people or need none."""
    path = os.environ.get("GITHUB_OUTPUT")
    found = report.approval
    if not path or found is None:
        return
    lines = {
        "decision": report.decision,
        "risk_class": found.risk_class,
        "reviewers": ",".join(found.reviewers),
        "approvals": found.approvals,
        "auto_approvable": str(found.auto_approvable).lower(),
    }
    with Path(path).open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in lines.items())


def _form(form: str | None, path: Path | None) -> str:
    """The format that was asked for, else that of the file's name, else the terminal's."""
    if form or path is None:
        return form or "terminal"
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"--output must end in {', '.join(SUFFIXES)}, got {path}", fix="or name a --format"
        )
    return SUFFIXES[path.suffix]


def _show(report: Report, progress: Progress) -> None:
    from policies.review.render.terminal import show

    if not progress.as_json:
        show(report, progress.out)


def _write(text: str, report: Report, progress: Progress, output: Path | None) -> None:
    if output is not None:
        output.write_text(text)
        progress.say(f"{shown(output.absolute())}: {report.decision}")
    elif not progress.as_json:
        sys.stdout.write(text)


def rendered(report: Report, change: StackChange, stack: StackName, form: str) -> str:
    """The report in one of the formats that are text."""
    from policies.review.render import data, html, markdown, sarif
    from policies.review.render.graph import graph
    from policies.rules import RULES

    if form == "markdown":
        return markdown.render(report, graph(change.quiet()))
    if form == "html":
        return html.render(report, graph(change.quiet()))
    if form == "sarif":
        return sarif.render(report, RULES, stack_file=shown(stack.file))
    if form == "infracost":
        return data.json_text(_infracost(change, stack))
    return data.render(report)


def _infracost(change: StackChange, stack: StackName) -> dict[str, Any]:
    """The cost alone, for tools that read Infracost's JSON."""
    from policies.data import Unknown
    from stacks.sizing.infracost import block
    from stacks.sizing.prices.estimate import estimate
    from stacks.sizing.prices.table import no_prices, price_table

    table = price_table(load(stack).environment.account.region)
    if missing := no_prices(table):
        raise UserError(f"the cost of {stack} must be known, got {missing}")
    try:
        before, after = (estimate(side, table) for side in (change.before(), change.after()))
    except Unknown as unknown:
        raise UserError(f"the cost of {stack} is known only during the update: {unknown}") from None
    return block(f"plinth/{stack}", before, after, table.hours_per_month)
