"""`plinth review`: what a change does to one stack, or to each stack of an environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput as Progress
from stacks.paths import shown
from stacks.review.change import Comparison, read_drift
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

    base: str | None = None
    digest: Path | None = None
    drift: Path | None = None
    quotas: Path | None = None
    form: str | None = None
    output: Sequence[Path] = ()

    @property
    def files(self) -> list[Path]:
        """Files that are about one stack."""
        return [path for path in (self.digest, self.drift, self.quotas) if path is not None]


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """One stack's review."""

    stack: StackName
    report: Report
    change: StackChange
    said: dict[str, Any]
    """What `--json` prints."""


def review(name: str, progress: Progress, **asked: Any) -> dict[str, Any]:
    """Review a change of one stack, or of all stacks of an environment with their roll-up.

    A blocked one is a failed check, and the report is written all the same.
    """
    wanted, stacks = Asked(**asked), named(name)
    if "." not in name and wanted.files:
        raise UserError(
            f"{wanted.files[0]} must be about one stack, got environment {name}",
            fix=f"name one, such as {stacks[0]}",
        )
    forms = {path: _form(wanted.form, path) for path in wanted.output or (None,)}
    if "." not in name:
        _are_of_several(forms.values(), stacks)
    comparison = Comparison(name, progress, base=wanted.base, digest=wanted.digest)
    found = [_reviewed(stack, comparison, progress, wanted) for stack in stacks]
    if "." in name:
        return _of_stack(found[0], forms, progress)
    return _of_environment(name, found, forms, progress)


OF_SEVERAL = ("terminal", "markdown", "json")


def _are_of_several(forms: Iterable[str], stacks: Sequence[StackName]) -> None:
    """Refuse a format that a whole environment does not have."""
    if unfit := sorted(set(forms) - set(OF_SEVERAL)):
        raise UserError(
            f"the format of an environment's review must be one of {', '.join(OF_SEVERAL)}, "
            f"got {', '.join(unfit)}",
            fix=f"name one stack, such as {stacks[0]}",
        )


def _of_stack(
    found: Reviewed, forms: Mapping[Path | None, str], progress: Progress
) -> dict[str, Any]:
    """One report, in every format that is wanted."""
    _tell_github(found.report)
    for path, form in forms.items():
        if form == "terminal":
            _show(found.report, progress)
        else:
            _write(_text(found, form), found.report.decision, progress, path)
    if found.report.decision == "blocked":
        raise CheckFailed(_blocked(found), data=found.said)
    return found.said


def _of_environment(
    name: str, found: Sequence[Reviewed], forms: Mapping[Path | None, str], progress: Progress
) -> dict[str, Any]:
    """A line for every stack, and a report about each that changes; terminal, Markdown or JSON."""
    from policies.review.render import markdown, terminal
    from policies.review.render.data import json_text
    from policies.review.render.graph import graph
    from policies.review.roll_up import by_stack, together

    reports = [one.said for one in found]
    result = {
        "name": name,
        "env": found[0].stack.env,
        **together(reports),
        "stacks": {str(one.stack): one.said for one in found},
    }
    section = by_stack(name, reports)
    spoken = [one for one in found if one.report.decision != "no change"]
    for path, form in forms.items():
        if form == "terminal":
            for one in spoken:
                _show(one.report, progress)
                progress.say("")
            if not progress.as_json:
                terminal.show_section(section, progress.out)
            continue
        drawn = [(one.report, graph(one.change.quiet())) for one in spoken]
        text = json_text(result) if form == "json" else markdown.of_stacks(name, section, drawn)
        _write(text, result["decision"], progress, path)
    if blocked := [_blocked(one) for one in found if one.report.decision == "blocked"]:
        raise CheckFailed("\n".join(blocked), data=result)
    return result


def _blocked(found: Reviewed) -> str:
    reasons = "\n".join(f"  {r.rule} {r.message}" for r in found.report.reasons if r.blocks)
    return f"the change of {found.stack} is blocked:\n{reasons}"


def _reviewed(
    stack: StackName, comparison: Comparison, progress: Progress, asked: Asked
) -> Reviewed:
    """The report of a stack's change, the change, and what `--json` prints."""
    from policies.review.render.data import to_dict

    settings = load(stack)
    change = comparison.of(stack, settings)
    if asked.drift is not None:
        change = replace(change, drifted=read_drift(asked.drift))
    try:
        beside = comparison.beside(stack)
    except UserError as error:  # somebody else's stack must not keep this one from its review
        beside, problem = None, f"what else is in {stack.env} is not counted: {error.problem}"
        change = replace(change, warnings=[*change.warnings, problem])
    with progress.stage("review", f"review {stack}") as stage:
        headroom = headroom_of(change, stack, settings, asked.quotas, beside)
        report = report_of(change, settings, asked.base or "HEAD", beside, headroom)
        stage.done = report.decision
    said, bound = to_dict(report), comparison.binding(stack)
    if bound is not None:
        said["binding"] = bound
    return Reviewed(stack=stack, report=report, change=change, said=said)


def _text(found: Reviewed, form: str) -> str:
    from policies.review.render.data import json_text

    if form == "json":
        return json_text(found.said)
    return rendered(found.report, found.change, found.stack, form)


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


def _write(text: str, decision: str, progress: Progress, output: Path | None) -> None:
    if output is not None:
        output.write_text(text)
        progress.say(f"{shown(output.absolute())}: {decision}")
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
