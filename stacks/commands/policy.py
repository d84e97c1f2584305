"""`plinth policy` and `plinth lint-pipeline`: the rules without a deployment."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from infra.errors import CheckFailed, UserError
from stacks.commands import frameworks
from stacks.commands.output import CommandOutput
from stacks.paths import shown
from stacks.policy_config import policy_config
from stacks.reading import json_of, text_of
from stacks.settings.load import load
from stacks.stack_name import StackName, named
from stacks.targets.policy_settings import exemptions
from stacks.targets.side_by_side import one_by_one, total

if TYPE_CHECKING:
    from policies.config import PolicyConfig
    from policies.data import Resource
    from policies.lint import Problem
    from policies.offline import RuleFinding

SHOWN = ("fail", "error", "unknown", "exempt")
"""Results that somebody has to look at, in this order."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The resources that the rules are asked about."""

    source: str
    """Where they were read from, as the result says it."""
    resources: Sequence[Resource]


def policy(
    name: str,
    report: CommandOutput,
    *,
    digest: Path | None,
    state: Path | None,
    framework: str | None,
) -> dict[str, Any]:
    """Every rule on every resource of a stack, or of all stacks of an environment.

    CheckFailed where a mandatory rule fails, or too many cannot be decided.
    """
    if digest is not None and state is not None:
        raise UserError("--digest and --state must not both be given", fix="leave one out")
    stacks = named(name)
    if (digest or state) and len(stacks) > 1:
        raise UserError(
            f"a file must be about one stack, got {name}", fix=f"name one, such as {stacks[0]}"
        )
    asked = frameworks.framework(framework) if framework is not None else None

    found: list[RuleFinding] = []

    def judge(stack: StackName) -> dict[str, Any]:
        seen, config = _seen(stack, report, digest, state), policy_config(load(stack))
        findings = _findings(stack, seen, config, report)
        found.extend(findings)
        if asked is None:
            _show(findings, report)
        report.say(f"{stack}, from a {seen.source}: {_told(_counts(findings))}")
        _say_unjudged(seen, report)
        return _verdict(stack, seen, findings, config)

    def summed(said: Mapping[str, Any]) -> dict[str, Any]:
        by_control = {"framework": frameworks.judged(asked, found, report)} if asked else {}
        data = _summed(name, said)
        if len(stacks) > 1:
            report.say(f"{name}: {_told(data['counts'])}")
        return {**data, **by_control}

    try:
        done = one_by_one(stacks, judge)
    except CheckFailed as failed:
        data = summed(failed.data["stacks"])
        raise CheckFailed(failed.problem, fix=failed.fix, data=data) from None
    return summed({str(stack): said for stack, said in done.items()})


def _unjudged(seen: Seen) -> dict[str, int]:
    """Types that no rule judges, and how many resources: their silence is no pass."""
    from policies.offline import unjudged

    return dict(sorted(unjudged(seen.resources).items()))


def _say_unjudged(seen: Seen, report: CommandOutput) -> None:
    from policies.review.knowledge import told_unjudged

    if silent := _unjudged(seen):
        report.say(told_unjudged(silent, len(silent)))


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _summed(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """A member per stack, and the sums of those that could be judged."""
    judged = [each for each in said.values() if "counts" in each]
    return {
        "name": name,
        "env": name.partition(".")[0],
        "stacks": said,
        "counts": total(judged, "counts"),
        "blocking": sum(each["blocking"] for each in judged),
    }


def _findings(
    stack: StackName, seen: Seen, config: PolicyConfig, report: CommandOutput
) -> list[RuleFinding]:
    from policies.offline import evaluate

    with report.stage("policy", f"policies of {stack}") as stage:
        findings = evaluate(seen.resources, config, exemptions=exemptions())
        stage.done = _told(_counts(findings))
    return findings


def _verdict(
    stack: StackName, seen: Seen, findings: Sequence[RuleFinding], config: PolicyConfig
) -> dict[str, Any]:
    """What `--json` says of a stack; CheckFailed where it does not pass."""
    blocking = [finding for finding in findings if finding.blocks]
    undecided = [f for f in findings if f.status == "unknown" and f.level == "mandatory"]
    result = {
        "stack": str(stack),
        "source": seen.source,
        "resources": len(seen.resources),
        "counts": _counts(findings),
        "unjudged": _unjudged(seen),
        "blocking": len(blocking),
        "mandatory_undecided": len(undecided),
        "findings": [asdict(f) for f in findings if f.status in SHOWN],
    }
    if blocking:
        lines = "\n".join(f"  {_line(finding)}" for finding in blocking)
        raise CheckFailed(f"{stack} must pass its mandatory policies, got:\n{lines}", data=result)
    if config.production and len(undecided) > config.undecided_max:
        raise CheckFailed(
            f"at most {config.undecided_max} mandatory checks of {stack} may be undecided, "
            f"got {len(undecided)}",
            fix="deploy what the values come from first, then the rest",
            data=result,
        )
    return result


def _seen(stack: StackName, report: CommandOutput, digest: Path | None, state: Path | None) -> Seen:
    if digest is not None:
        return _previewed(digest, str(stack))
    if state is not None:
        return _exported(state, str(stack))
    from stacks.synth import synth_of

    with report.stage("synth", f"mocked synth of {stack}") as stage:
        found = synth_of(stack)
        stage.done = f"{len(found)} resources"
    return Seen("mocked synth", found)


def _previewed(path: Path, env: str) -> Seen:
    """What an update would leave behind."""
    from policies.review.digest import read

    try:
        change = read(text_of(path), env)
    except ValueError as error:
        fix = "write it with `pulumi preview --json --show-sames`"
        raise UserError(f"{path}: {error}", fix=fix) from None
    return Seen(change.origin, change.after())


def _exported(path: Path, env: str) -> Seen:
    """A state is a preview in which everything stays as it is."""
    from policies.review.digest import of_digest

    fix = "write it with `pulumi stack export`"
    try:
        document = json_of(path)
        resources = document["deployment"]["resources"]
        steps = [
            {"op": "same", "urn": item["urn"], "oldState": item, "newState": item}
            for item in resources
        ]
        change = of_digest({"steps": steps}, env)
    except (KeyError, TypeError):
        problem = f"{path}: deployment.resources must be a list of resources, got none"
        raise UserError(problem, fix=fix) from None
    except ValueError as error:
        raise UserError(f"{path}: {error}", fix=fix) from None
    return Seen("state export", change.after())


def _counts(findings: Sequence[RuleFinding]) -> dict[str, int]:
    """All six results, those that nobody had too."""
    from policies.rule import Status

    counted = Counter(finding.status for finding in findings)
    return {status: counted[status] for status in get_args(Status)}


def _show(findings: Sequence[RuleFinding], report: CommandOutput) -> None:
    from rich.markup import escape

    for status in SHOWN:
        for finding in findings:
            if finding.status == status:
                report.say(f"{status:7} {finding.level:9} {escape(_line(finding))}")


def _line(finding: RuleFinding) -> str:
    name = finding.urn.rpartition("::")[2] or "the stack"
    return f"{finding.rule_id} {name}: {finding.message}"


def lint_pipeline(
    path: Path, report: CommandOutput, *, env: str | None, form: str, output: Path | None
) -> dict[str, Any]:
    """The rules about definitions on one file; a failed check where one blocks."""
    from pipelines.executor.plan import refused
    from policies.config import PolicyConfig
    from policies.lint import NoDefinition, lint, path_of, problems

    config = policy_config(load(named(env)[0])) if env else PolicyConfig(production=True)
    text = text_of(path)
    try:
        findings = lint(text, path.name, config)
    except NoDefinition as error:
        raise UserError(
            f"{path} must be a pipeline definition: {error}",
            fix="write it with `aws sagemaker describe-pipeline --query PipelineDefinition`",
        ) from None
    faults = refused(json.loads(text))
    found = problems(findings)
    if form == "sarif":
        _write(_sarif(faults, found, path, text), report, output)
    else:
        _show_problems(faults, found, findings, report)
    blocking = [problem for problem in found if problem.finding.blocks]
    result = {
        "file": str(path),
        "refused": [{"path": path_of(fault), "message": fault} for fault in faults],
        "counts": _counts(findings),
        "problems": [
            {
                "rule": problem.finding.rule_id,
                "severity": problem.finding.severity,
                "blocks": problem.finding.blocks,
                "path": problem.path,
                "message": problem.message,
            }
            for problem in found
        ],
    }
    names = ", ".join(sorted({problem.finding.rule_id for problem in blocking}))
    told = [f"SageMaker would refuse it for {len(faults)} reasons"] if faults else []
    told += [f"it breaks mandatory rules: {names}"] if blocking else []
    if told:
        raise CheckFailed(f"{path}: {'; '.join(told)}", data=result)
    return result


def _show_problems(
    faults: Sequence[str],
    found: Sequence[Problem],
    findings: Sequence[RuleFinding],
    report: CommandOutput,
) -> None:
    """What SageMaker refuses, then our rules, then what only a run can decide."""
    from rich.markup import escape

    for fault in faults:
        report.say(f"{'refused':9} {escape(fault)}")
    for problem in found:
        level = problem.finding.level
        report.say(f"{level:9} {problem.finding.rule_id} {escape(problem.message)}")
    for finding in findings:
        if finding.status == "unknown":
            where = escape(", ".join(finding.paths))
            report.say(f"{'undecided':9} {finding.rule_id} only a run decides {where}")


def _write(text: str, report: CommandOutput, output: Path | None) -> None:
    if output is not None:
        output.write_text(text)
    elif not report.as_json:
        sys.stdout.write(text)


def _sarif(faults: Sequence[str], found: Sequence[Problem], path: Path, text: str) -> str:
    from policies.data import Source
    from policies.lint import line_of, path_of, rules
    from policies.review.render import sarif
    from policies.review.report import Reason
    from policies.review.report import Report as Review

    place = shown(path.absolute())
    fixes = {rule.id: rule.fix.replace("\n", " ") for rule in rules()}
    reasons = [
        Reason(
            rule="CreatePipeline",
            risk="high",
            message=fault,
            urn=path_of(fault),
            source=Source(place, line_of(text, path_of(fault))),
            blocks=True,
        )
        for fault in faults
    ]
    reasons += [
        Reason(
            rule=problem.finding.rule_id,
            risk=problem.finding.severity,
            message=problem.message,
            fix=fixes.get(problem.finding.rule_id, ""),
            urn=problem.path,
            source=Source(place, line_of(text, problem.path)),
            blocks=problem.finding.blocks,
        )
        for problem in found
    ]
    blocked = any(reason.blocks for reason in reasons)
    review = Review(
        env=path.name,
        origin="pipeline definition",
        commit="",
        base="",
        decision="blocked" if blocked else "needs review",
        risk="high" if blocked else "low",
        reasons=reasons,
        tally={},
        sections=[],
    )
    return sarif.render(review, rules(), stack_file=place)
