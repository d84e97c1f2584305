"""`plinth accept`: a disposable environment from nothing to answers and back, with a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from infra.errors import CheckFailed, UserError
from stacks.acceptance.journey import Done, Step, as_data, page, unchanged, walk
from stacks.commands import bootstrap, checks, deploy, destroy, model
from stacks.commands.output import CommandOutput
from stacks.paths import shown
from stacks.settings.load import load_environment, load_workload
from stacks.stack_name import StackName, environment_file, stacks_of
from stacks.targets.state_place import alias
from stacks.targets.target import Target, target_of


def accept(
    env: str, report: CommandOutput, *, yes: bool, output: Path | None, answers: Path | None = None
) -> dict[str, Any]:
    """Take every step; CheckFailed if one failed, after what was made is taken down.

    `answers` is where the shapes of the cloud's answers are written. Default: nowhere.
    """
    environment, target = load_environment(env), target_of(env)
    if environment.protect:
        raise UserError(
            f"what is accepted is destroyed again, so {env} must not be protected, got "
            "protect: true",
            fix=f"give it an environment of its own, such as sandbox, beside "
            f"{shown(environment_file(env))}",
        )
    price = "nothing" if target.on_this_machine else _price(env)
    wanted = list(steps(env, target, report, answers))
    if not yes:
        for step in wanted:
            report.say(step.name)
        raise UserError(
            f"this makes all of {env} in account {environment.account.account_id} and destroys it "
            f"again; standing for a month it would cost: {price}",
            fix=f"type `plinth accept {env} --yes`",
        )
    done = walk(wanted, report.note)
    for one in done:
        report.say(f"{one.outcome:<8} {one.seconds:7.1f} s  {one.name}")
    facts = {
        "account": environment.account.account_id,
        "region": environment.account.region,
        "commit": model.source_commit(),
        "price per month, if it stood": price,
        "seconds": round(sum(one.seconds for one in done), 1),
    }
    if output is not None:
        output.write_text(page(f"Acceptance of {env}", facts, done))
        report.say(f"written: {output}")
    return _verdict(env, facts, done)


def _verdict(env: str, facts: Mapping[str, Any], done: list[Done]) -> dict[str, Any]:
    result = {"env": env, **facts, "steps": as_data(done)}
    failed = [one for one in done if one.outcome == "failed"]
    if failed:
        lines = "\n".join(f"  {one.name}: {one.problem}" for one in failed)
        raise CheckFailed(f"every step must pass, got:\n{lines}", data=result)
    return result


def steps(env: str, target: Target, report: CommandOutput, shapes: Path | None) -> Iterator[Step]:
    """From an empty account to answers, and back."""
    workloads = sorted(
        (stack for stack in stacks_of(env) if stack.workload),
        key=lambda stack: (len(load_workload(stack).workload.uses), stack),
    )
    yield Step(
        name="bootstrap",
        act=lambda: bootstrap.bootstrap(env, report, yes=True),
        facts=lambda said: {"made": len(said["made"])},
    )
    yield Step(name="nothing stands there", act=lambda: _nothing_stands(env, target, report))
    yield Step(name="preflight", act=lambda: checks.preflight(env, report), facts=_counts)
    yield Step(
        name="up",
        act=lambda: deploy.up(env, report),
        facts=lambda said: {k: n for k, n in said["changes"].items() if n},
        makes=True,
    )
    yield Step(name="verify", act=lambda: checks.verify(env, report), facts=_counts)
    yield Step(name="second up", act=lambda: deploy.up(env, report), facts=unchanged)
    for stack in workloads:
        yield from _runs(stack, report)
    yield Step(
        name="up with the models",
        act=lambda: deploy.up(env, report),
        facts=lambda said: {k: n for k, n in said["changes"].items() if n},
    )
    for stack in workloads:
        if load_workload(stack).workload.model is not None:
            yield _scored(stack, report)
    yield Step(
        name="answers beside those of local",
        act=lambda: _answered(env, target, report, shapes),
        facts=lambda said: {k: len(said[k]) for k in ("operations", "differences", "unread")},
        rows=lambda said: said["differences"],
    )
    yield Step(
        name="destroy",
        act=lambda: _destroyed(env, target, report),
        facts=lambda said: {"deleted": said["changes"]["delete"]},
        takes_down=True,
    )
    if not target.on_this_machine:
        yield Step(
            name="undo bootstrap",
            act=lambda: bootstrap.undo(env, report, confirmed=env),
            takes_down=True,
        )


def _runs(stack: StackName, report: CommandOutput) -> Iterator[Step]:
    workload = load_workload(stack).workload
    for pipeline in workload.pipelines:
        yield Step(
            name=f"run {stack} {pipeline}",
            act=partial(model.run, str(stack), pipeline, {}, report),
            facts=lambda said: said["metrics"],
        )
    if workload.model is not None:
        reason = "acceptance of a disposable environment"
        yield Step(
            name=f"approve {stack}", act=lambda: model.approve(str(stack), None, reason, report)
        )
        yield Step(name=f"promote {stack}", act=lambda: model.promote(str(stack), None, report))


def _scored(stack: StackName, report: CommandOutput) -> Step:
    return Step(
        name=f"predict {stack}",
        act=lambda: model.predict(str(stack), report),
        facts=lambda said: {k: v for k, v in said.items() if isinstance(v, int | float)},
    )


def _counts(said: Mapping[str, Any]) -> Mapping[str, Any]:
    return {k: n for k, n in said["counts"].items() if n}


def _nothing_stands(env: str, target: Target, report: CommandOutput) -> Mapping[str, Any]:
    """UserError where there is something that somebody else made and `destroy` would delete."""
    target.start(report)
    engine = target.engine(stacks_of(env)[0], report)
    standing = [name for name in engine.standing() if name.startswith(f"{env}.")]
    if standing:
        raise UserError(
            f"{env} must have no stacks, for they would be destroyed, got {', '.join(standing)}",
            fix=f"destroy them yourself, or accept an environment of its own beside {env}",
        )
    return {}


def _answered(
    env: str, target: Target, report: CommandOutput, file: Path | None
) -> Mapping[str, Any]:
    """How the cloud's answers differ in shape from those of `local`; they may."""
    from stacks.acceptance import answers
    from stacks.acceptance.shapes import compared

    names = load_environment(env).names
    recorder = answers.Recorder(clients=target.clients(names.region), region=names.region)
    resources = [
        resource
        for stack in stacks_of(env)
        for resource in target.engine(stack, report).deployment().get("resources", [])
    ]
    shapes, unread = answers.record(resources, names.prefix, recorder)
    for problem in unread:
        report.note(f"not compared: {problem}")
    if file is not None:
        answers.write(shapes, file)
    columns = ("operation", "member", "local", "here")
    rows = [dict(zip(columns, row, strict=True)) for row in compared(answers.of_local(), shapes)]
    return {"operations": list(shapes), "unread": unread, "differences": rows}


def _destroyed(env: str, target: Target, report: CommandOutput) -> Mapping[str, Any]:
    """Everything is deleted, and nothing that bears the environment's tags is left."""
    said = destroy.destroy(env, report, confirmed=env, data=True)
    own = {f"kms {alias(env)}", f"s3 {load_environment(env).names.bucket('state')}"}
    here = [one for one in said["left"] if one not in own]  # of `bootstrap`: it went with the cloud
    left = here if target.on_this_machine else _tagged(env, target)
    if left:
        raise CheckFailed(f"nothing of {env} must be left, got {', '.join(left)}")
    return said


def _tagged(env: str, target: Target) -> list[str]:
    """ARNs of what the account still has with our tags, but for what `bootstrap` made."""
    environment = load_environment(env)
    tagging = target.clients(environment.account.region)("resourcegroupstaggingapi")
    filters = [
        {"Key": "project", "Values": ["plinth"]},
        {"Key": "environment", "Values": [env]},
    ]
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=filters)
    own = environment.names.bucket("state")
    return [
        item["ResourceARN"]
        for found in pages
        for item in found["ResourceTagMappingList"]
        if not item["ResourceARN"].endswith(f":{own}")
        and ":kms:" not in item["ResourceARN"]  # they wait for their deletion
    ]


def _price(env: str) -> str:
    from stacks.checks.cost import summary
    from stacks.sizing.prices.estimate import estimate
    from stacks.sizing.prices.table import no_prices, price_table
    from stacks.synth import synth_of

    table = price_table(load_environment(env).account.region)
    if missing := no_prices(table):
        return f"not known, {missing}"
    return summary([estimate(synth_of(stack), table) for stack in stacks_of(env)])
