"""`plinth review`: one report about a stack change, from whatever can be known here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands.deploy import LOCAL, exemptions, policy_config, preview_steps, stack
from stacks.commands.output import CommandOutput as Progress
from stacks.paths import ROOT
from stacks.review.git import checked, clean_commit, exists, git, judging, packs, versions
from stacks.review.replacements import differ, undecided
from stacks.settings.load import load, shown, stack_file
from stacks.settings.model import Settings
from stacks.targets import aws_clients

if TYPE_CHECKING:
    from policies.data import Resource
    from policies.review.approval import Reviewers
    from policies.review.model import StackChange
    from policies.review.report import Part, Report

SUFFIXES = {".md": "markdown", ".html": "html", ".sarif": "sarif", ".json": "json"}
SYNTH_SECONDS = 300


def review(
    env: str,
    progress: Progress,
    *,
    base: str | None,
    digest: Path | None,
    drift: Path | None,
    quotas: Path | None = None,
    form: str | None,
    output: Sequence[Path],
) -> dict[str, Any]:
    """Review a change; a blocked one is a failed check, and the report is written all the same."""
    from policies.review.render.data import json_text, to_dict

    forms = {path: _form(form, path) for path in output or (None,)}
    settings = load(env)
    change = _change(env, settings, progress, base, digest)
    if drift is not None:
        change = replace(change, drifted=_read_drift(drift))
    with progress.stage("review", f"review {env}") as stage:
        headroom = _headroom(change, settings, quotas)
        report = _report(change, settings, base or "HEAD", headroom)
        stage.done = report.decision
    result = to_dict(report) | _binding(env, change, progress)
    _tell_github(report)
    for path, wanted in forms.items():
        if wanted == "terminal":
            _show(report, progress)
        else:
            text = json_text(result) if wanted == "json" else rendered(report, change, env, wanted)
            _write(text, report, progress, path)
    if report.decision == "blocked":
        reasons = "\n".join(f"  {r.rule} {r.message}" for r in report.reasons if r.blocks)
        raise CheckFailed(f"the change of {env} is blocked:\n{reasons}", data=result)
    return result


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


def _change(
    env: str, settings: Settings, progress: Progress, base: str | None, digest: Path | None
) -> StackChange:
    """The change, from the first of: a digest, an engine with a cloud, two mocked synths."""
    from policies.review import digest as reader

    commit = git("rev-parse", "HEAD")
    if digest is not None:
        return _read_digest(env, digest)
    if base is None and (env == LOCAL or aws_clients.has_credentials()):
        steps = preview_steps(env, progress)
        change = reader.of_digest({"steps": steps}, env, commit=commit)
        return _enriched(change, _synth(env, progress))
    return _of_commits(env, settings, base or "HEAD", commit, progress)


def _binding(env: str, change: StackChange, progress: Progress) -> dict[str, Any]:
    """What `plinth up --plan` holds to, where an engine with a state was asked."""
    if change.origin != "local preview":
        return {}
    from stacks.review.binding import binding

    return {"binding": binding(clean_commit(), stack(env, progress).deployment())}


def reviewed_change(env: str, settings: Settings, digest: Path) -> tuple[Report, StackChange]:
    """The report about a digest, and what it is about; nothing is written or shown."""
    change = _read_digest(env, digest)
    return _report(change, settings, "HEAD"), change


def _read_digest(env: str, path: Path) -> StackChange:
    from policies.review import digest as reader

    try:
        return reader.read(path.read_text(), env, commit=git("rev-parse", "HEAD"))
    except OSError as error:
        raise UserError(f"{path} must be a file, got {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}", fix="write it with `pulumi preview --json`") from None


def _headroom(change: StackChange, settings: Settings, path: Path | None) -> Part:
    """Quotas from a file, else from the account of an engine that was asked, else from nobody."""
    from stacks.checks.check import Platform, attempt, refuse
    from stacks.checks.quota_review import listed, part
    from stacks.checks.quotas import Quotas

    asked = path is None and change.origin == "local preview"
    clients = (
        aws_clients.regional(change.env, settings.account.region) if asked else refuse("no account")
    )

    def platform(resources: Sequence[Resource]) -> Platform:
        return Platform(
            env=change.env,
            settings=settings,
            resources=resources,
            clients=clients,
            fetch=refuse("no network"),
            plain_http=refuse("no account"),
            kubernetes=refuse("no cluster"),
        )

    if asked:
        live = Quotas(platform(change.after()))
        return part(platform, lambda demand: attempt(lambda: live.value(demand)))
    if path is None:
        return part(platform, None)
    try:
        return part(platform, listed(path.read_text()))
    except OSError as error:
        raise UserError(f"{path} must be a file, got {error.strerror}") from None
    except ValueError as error:
        fix = "write it with `aws service-quotas list-service-quotas --service-code SERVICE`"
        raise UserError(f"{path}: {error}", fix=fix) from None


def _read_drift(path: Path) -> list[str]:
    """What a refresh found, as its event log tells."""
    from policies.review.digest import drift

    try:
        return drift(path.read_text())
    except OSError as error:
        raise UserError(f"{path} must be a file, got {error.strerror}") from None
    except ValueError as error:
        fix = "write it with `pulumi refresh --preview-only --event-log FILE`"
        raise UserError(f"{path}: {error}", fix=fix) from None


def _of_commits(
    env: str, settings: Settings, base: str, commit: str, progress: Progress
) -> StackChange:
    """Two mocked synths: of this working tree, and of a revision of the repository."""
    from policies.review.compare import compare

    after = _synth(env, progress)
    with progress.stage("base", f"mocked synth of {env} at {base}") as stage:
        before = _synth_of(env, base)
        stage.done = f"{len(before)} resources"
    change = compare(
        env, before, after, differ=differ(settings.account.region), commit=commit, base=base
    )
    return replace(change, warnings=[*change.warnings, *undecided(change.changes)])


def _synth(env: str, progress: Progress) -> list[Resource]:
    from stacks.synth import synthesize
    from stacks.workload import definitions

    settings = load(env)
    with progress.stage("synth", f"mocked synth of {env}") as stage:
        found = synthesize(env, settings, definitions(env, settings))
        stage.done = f"{len(found)} resources"
    return found


def _synth_of(env: str, revision: str) -> list[Resource]:
    """The synth of another revision, by its own code in its own folder."""
    from stacks.synth import of_json

    checked(revision)
    with tempfile.TemporaryDirectory(prefix="plinth-base-") as folder:
        archive = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        if not (Path(folder) / "stacks" / "environments" / f"Pulumi.{env}.yaml").exists():
            return []
        done = subprocess.run(
            [sys.executable, "-m", "stacks.synth", env],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
            timeout=SYNTH_SECONDS,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise UserError(
            f"{env} at {revision} must synthesize, got exit code {done.returncode}: {lines[-1]}",
            fix="compare with a revision whose program runs with the installed packages",
        )
    return of_json(done.stdout)


def _enriched(change: StackChange, resources: Sequence[Resource]) -> StackChange:
    """Engine events carry neither dependencies nor source lines: the synth has both."""
    known = {item.urn: item for item in resources}

    def full(item: Resource | None) -> Resource | None:
        seen = known.get(item.urn) if item else None
        if item is None or seen is None:
            return item
        return replace(item, dependencies=seen.dependencies, source=seen.source)

    changes = [replace(item, old=full(item.old), new=full(item.new)) for item in change.changes]
    return replace(change, origin="local preview", changes=changes)


def _report(change: StackChange, settings: Settings, base: str, *further: Part) -> Report:
    from policies.offline import evaluate
    from policies.review.approval import asked
    from policies.review.parts.order import FIRST, THEN
    from policies.review.report import Context
    from policies.review.report import review as reviewed
    from stacks.review.cost import parts
    from stacks.sizing.prices.table import price_table

    config, exempt = policy_config(settings), exemptions()
    before, after = judging(base) if exists(base) else {}, judging(None)
    change = replace(change, versions={**change.versions, **versions(before, after)})
    pack_before, pack_after = packs(before, after)
    context = Context(
        pack_before=pack_before,
        pack_after=pack_after,
        packages=_packages(change),
        config=config,
        today=date.today(),
        exemptions=exempt,
        findings_before=evaluate(change.before(), config, exemptions=exempt),
        findings_after=evaluate(change.after(), config, exemptions=exempt),
    )
    limits = settings.policies
    spending = parts(
        price_table(settings.account.region),
        cost_usd_max=limits.cost_usd_per_month_max,
        gpus_max=limits.gpus_max,
        run_usd_max=limits.run_usd_max,
    )
    report = reviewed(change, context, (*FIRST, *spending, *further, *THEN))
    return asked(report, change, _reviewers())


def _reviewers() -> Reviewers:
    """Who looks at what, as this repository says."""
    from policies.review import approval

    try:
        return approval.load()
    except ValueError as error:
        raise UserError(str(error), fix="mend policies/reviewers.yaml") from None


def _packages(change: StackChange) -> dict[str, dict[str, Any]]:
    """What the registry says of the models before and after, where it can be asked."""
    from policies.review.parts.promotion import MODEL, artefacts
    from stacks.review.model_packages import facts

    models = [item for item in change.changed() if item.type == MODEL]
    arns = [arn for item in models for side in (item.old, item.new) for arn in artefacts(side)]
    asked = change.origin == "local preview" and bool(arns)
    return facts(aws_clients.clients(change.env), arns) if asked else {}


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


def rendered(report: Report, change: StackChange, env: str, form: str) -> str:
    """The report in one of the formats that are text."""
    from policies.review.render import data, html, markdown, sarif
    from policies.review.render.graph import graph
    from policies.rules import RULES

    if form == "markdown":
        return markdown.render(report, graph(change.quiet()))
    if form == "html":
        return html.render(report, graph(change.quiet()))
    if form == "sarif":
        return sarif.render(report, RULES, stack_file=shown(stack_file(env)))
    if form == "infracost":
        return data.json_text(_infracost(change, env))
    return data.render(report)


def _infracost(change: StackChange, env: str) -> dict[str, Any]:
    """The cost alone, for tools that read Infracost's JSON."""
    from policies.data import Unknown
    from stacks.sizing.infracost import block
    from stacks.sizing.prices.estimate import estimate
    from stacks.sizing.prices.table import no_prices, price_table

    table = price_table(load(env).account.region)
    if missing := no_prices(table):
        raise UserError(f"the cost of {env} must be known, got {missing}")
    try:
        before, after = (estimate(side, table) for side in (change.before(), change.after()))
    except Unknown as unknown:
        raise UserError(f"the cost of {env} is known only during the update: {unknown}") from None
    return block(f"plinth/{env}", before, after, table.hours_per_month)
