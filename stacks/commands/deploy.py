"""`plinth up` and `preview`, of one stack or of all stacks of an environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands.output import CommandOutput
from stacks.policy_config import policy_config
from stacks.review.binding import binding, hold, refuse_blocked
from stacks.review.binding import read as read_plan
from stacks.review.git import clean_commit
from stacks.settings.load import load
from stacks.settings.placeholders import placeholders
from stacks.stack_name import StackName, named
from stacks.targets.policy_settings import exemptions
from stacks.targets.side_by_side import total
from stacks.targets.target import target_of
from stacks.targets.work import Work, prepared, summarized, tally

if TYPE_CHECKING:
    from policies.data import Resource
    from stacks.targets.engine import Changes


def up(
    name: str,
    report: CommandOutput,
    *,
    port: int | None = None,
    plan: Path | None = None,
    refresh: bool = False,
    wait: bool = False,
) -> dict[str, Any]:
    """Make a stack, or all of an environment, what its files say; what `--json` prints.

    With `plan`, the JSON report of a review, only from the states and the commit it was about; what
    it says of other stacks does not matter. With `refresh`, from what is in the cloud and not from
    what the states say. With `wait`, after others who change the same stacks.
    """
    reviewed = read_plan(plan) if plan else {}
    with prepared(name, report, port, wait=wait) as work:
        work.refresh = refresh
        if plan:
            _is_planned(work, reviewed, plan)
            refuse_blocked(plan, [str(stack) for stack in work.stacks])
            for stack in work.stacks:
                state = work.target.engine(stack, report).deployment()
                hold(reviewed[str(stack)], binding(clean_commit(), state), str(stack))
        done = work.each(lambda stack: updated(work, stack))
    return summed(name, done, report)


def preview(
    name: str, report: CommandOutput, *, port: int | None = None, refresh: bool = False
) -> dict[str, Any]:
    """Say what `up` would do, without doing it; a mocked synth where there are no credentials."""
    stacks = named(name)
    if not target_of(stacks[0].env).can_deploy():
        return summed(name, {stack: _synth(stack, report) for stack in stacks}, report)
    with prepared(name, report, port) as work:
        work.refresh = refresh
        done = work.each(lambda stack: _previewed(work, stack))
    return summed(name, done, report)


def updated(work: Work, stack: StackName) -> dict[str, Any]:
    """Deploy one stack; its changes and outputs."""
    _is_filled_in(stack)
    changes = work.operate("up", stack)
    _show(stack, "up", changes, work.report)
    return {**summarized(stack, changes), "outputs": changes.outputs}


def _is_filled_in(stack: StackName) -> None:
    """Refuse to deploy what still stands in the files from where they were copied."""
    found = dict(placeholders(load(stack)))
    if found:
        values = "\n".join(f"  {key}: {value}" for key, value in found.items())
        raise UserError(
            f"{stack} must have no placeholders when it is deployed, got:\n{values}",
            fix="fill these in; `plinth preflight` says in which files",
        )


def _previewed(work: Work, stack: StackName) -> dict[str, Any]:
    changes = work.operate("preview", stack)
    _show(stack, "preview", changes, work.report)
    return summarized(stack, changes)


def _is_planned(work: Work, reviewed: Mapping[str, Any], plan: Path) -> None:
    """Refuse a plan that says nothing of a stack which is to be deployed."""
    missing = [str(stack) for stack in work.stacks if str(stack) not in reviewed]
    if missing:
        raise UserError(
            f"{plan} must be about every stack that is deployed, got none for {', '.join(missing)}",
            fix="review what you deploy: `plinth review NAME --format json --output FILE`",
        )


def _synth(stack: StackName, report: CommandOutput) -> dict[str, Any]:
    from policies.offline import evaluate
    from stacks.definitions import definitions
    from stacks.synth import stand_ins, synthesize
    from stacks.targets.engine import Changes

    settings = load(stack)
    with report.stage("definitions", "pipeline definitions"):
        compiled = definitions(settings)
    with report.stage("synth", f"mocked synth of {stack}") as stage:
        resources = synthesize(stack, settings, compiled)
        findings = evaluate(resources, policy_config(settings), exemptions=exemptions())
        stage.done = f"{len(resources)} resources"
    failed = [f for f in findings if f.status in ("fail", "error")]
    unknown = [f for f in findings if f.status == "unknown"]
    lines = [f"{f.rule_id} {f.urn.rpartition('::')[2]}: {f.message}" for f in failed]
    changes = Changes()
    changes.counts["create"] = len(resources)
    changes.mandatory = [t for f, t in zip(failed, lines, strict=True) if f.level == "mandatory"]
    changes.advisory = [t for f, t in zip(failed, lines, strict=True) if f.level == "advisory"]
    report.note(
        f"no AWS credentials: this is a mocked synth of {stack}, not a preview. It says what the "
        "program registers and which policies fail, not what would change in the account; "
        f"{stand_ins(stack)} values of the stacks below are stand-ins"
    )
    report.table(f"{stack}: {len(resources)} resources", _by_type(resources))
    for line in (*changes.mandatory, *changes.advisory):
        report.say(f"policy {line}")
    summary = {
        **summarized(stack, changes),
        "source": "mocked synth",
        "stand_ins": stand_ins(stack),
        "policy_unknown": len(unknown),
    }
    if changes.mandatory:
        found = "\n".join(f"  {line}" for line in changes.mandatory)
        raise CheckFailed(f"{stack} must pass its mandatory policies, got:\n{found}", data=summary)
    return summary


def _by_type(resources: Sequence[Resource]) -> dict[str, int]:
    found = Counter(resource.type.partition(":")[2] for resource in resources)
    return dict(sorted(found.items()))


def summed(
    name: str, done: Mapping[StackName, dict[str, Any]], report: CommandOutput
) -> dict[str, Any]:
    """One object with a member per stack, and their sum."""
    changes = total(list(done.values()), "changes")
    if len(done) > 1:
        report.say(f"{name}: {tally(changes)}")
    return {
        "name": name,
        "env": next(iter(done)).env,
        "stacks": {str(stack): said for stack, said in done.items()},
        "changes": changes,
        "policy": total(list(done.values()), "policy"),
        "seconds": report.seconds,
    }


def _show(stack: StackName, operation: str, changes: Changes, report: CommandOutput) -> None:
    verb = {"up": "", "preview": "would "}[operation]
    for line in changes.changed if operation == "preview" else ():
        report.say(f"{verb}{line}")
    for line in changes.advisory:
        report.say(f"policy (advisory) {line.splitlines()[0]}")
    report.say(f"{stack}: {tally(changes.counts)}")
