"""Commands beside the way of a stack: files, a checkout, Plinth itself, accounts, executions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stacks.commands.options import FAULTS, file_option, json_option, report, stack, wait_option


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--repository",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    metavar="FOLDER",
    help="Checkout that it may read. Default: the current folder.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="FOLDER",
    help="The one folder it may write, whose plain files come back.",
)
@click.option("--wall-seconds", type=click.IntRange(1, 86_400), default=300, show_default=True)
@click.option("--memory-mib", type=click.IntRange(64, 2**20), default=4096, show_default=True)
@json_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def sandbox(
    repository: Path, output: Path, *, as_json: bool, command: tuple[str, ...], **limits: int
) -> None:
    """Run COMMAND with no network, credentials or state: `plinth sandbox --output out -- COMMAND`.

    For code that nobody has read yet; it sees the checkout, this Python and nothing else.
    """
    from stacks.commands import sandbox as commands

    out = report(as_json)
    out.result(commands.run(command, repository, output, out, **limits))


@click.command("lint-pipeline")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--env", metavar="ENV", help="Whose thresholds hold. Default: the strictest.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "sarif"]),
    default="terminal",
    show_default=True,
)
@file_option("--output", "Default: standard output.")
@json_option
def lint_pipeline(file: Path, *, as_json: bool, **asked: Any) -> None:
    """Judge a SageMaker pipeline definition in FILE, whoever wrote it."""
    from stacks.commands import policy as command

    out = report(as_json)
    out.result(command.lint_pipeline(file, out, **asked))


@click.command()
@click.option("--check", is_flag=True, help="Fail where figures are old or missing.")
@click.option(
    "--max-age-days",
    type=click.IntRange(1),
    default=365,
    show_default=True,
    help="How old a figure may be.",
)
@click.option("--region", metavar="REGION", help="Default: all.")
@click.option("--service", metavar="NAME", help="List only ec2, sagemaker and so on. Default: all.")
@json_option
def prices(
    check: bool, max_age_days: int, region: str | None, service: str | None, as_json: bool
) -> None:
    """List the prices that estimates are made of, or --check their age and what they lack."""
    from stacks.commands import prices as command

    out = report(as_json)
    if check and service:
        raise click.UsageError("--service is about the list, --check about all of it")
    if check:
        out.result(command.check(out, max_age_days=max_age_days, region=region))
    else:
        out.result(command.listed(region, service, out))


@click.command()
@click.argument("env", metavar="ENV")
@click.argument("other", metavar="ENV")
@json_option
def diff(env: str, other: str, as_json: bool) -> None:
    """Say what differs between two environments, by the files of all their stacks."""
    from stacks.commands import diff as command

    out = report(as_json)
    out.result(command.diff(env, other, out))


@click.command()
@click.argument("what", type=click.Choice(["kubernetes"]))
@json_option
def toolchain(what: str, as_json: bool) -> None:
    """Find or build a Kubernetes control plane for the environment local (minutes, once)."""
    from stacks.commands import toolchain as commands

    out = report(as_json)
    out.result({"kubernetes": commands.kubernetes}[what](out))


@click.command()
@json_option
def coverage(as_json: bool) -> None:
    """Say what the local environment really does, operation by operation."""
    from stacks.commands import status

    out = report(as_json)
    out.result(status.coverage(out))


@click.command("compile")
@click.argument("name", metavar="ENV.WORKLOAD")
@click.argument("pipeline", required=False)
def compile_(name: str, pipeline: str | None) -> None:
    """Print the compiled definition of a workload's PIPELINE; by default its first."""
    from stacks.commands import status

    click.echo(status.compiled(name, pipeline))


@click.group()
def workload() -> None:
    """Make a new workload, or list those that an environment has."""


@workload.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["classification", "regression", "features"]),
    default="classification",
    show_default=True,
)
@click.option(
    "--env",
    "environments",
    multiple=True,
    default=["local"],
    show_default=True,
    help="Environment that gets a file for it; may be given several times.",
)
@json_option
def workload_new(name: str, kind: Any, environments: tuple[str, ...], as_json: bool) -> None:
    """Write a workload NAME that runs before anybody edits it."""
    from stacks.commands import workload as command

    out = report(as_json)
    out.result(command.new(name, kind, environments, out))


@workload.command("list")
@click.argument("env", metavar="ENV")
@json_option
def workload_list(env: str, as_json: bool) -> None:
    """Say who owns each workload of ENV, what it serves and how its last run ended."""
    from stacks.commands import workload as command

    out = report(as_json)
    out.result(command.listed(env, out))


@click.command()
@click.argument("env")
@json_option
@click.option("--dry-run", is_flag=True, help="Say what it would make, and end.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--undo", metavar="ENV", help="Delete bucket and key instead; the name once more.")
def bootstrap(env: str, as_json: bool, dry_run: bool, yes: bool, undo: str | None) -> None:
    """Make what an account must have before its first stack: a place for the state, a key."""
    from stacks.commands import bootstrap as command

    out = report(as_json)
    if undo is not None:
        out.result(command.undo(env, out, confirmed=undo))
    else:
        out.result(command.bootstrap(env, out, dry_run=dry_run, yes=yes))


@click.command()
@click.argument("env")
@json_option
@click.option("--yes", is_flag=True, help="Make all of it, and destroy it again.")
@file_option("--output", "A page (HTML) with every step, its time and what it said.")
@file_option("--answers", "The shapes of the cloud's answers (JSON), without names or ids.")
def accept(env: str, as_json: bool, yes: bool, output: Path | None, answers: Path | None) -> None:
    """Take a disposable environment from nothing to answers and back, and report."""
    from stacks.commands import accept as command

    out = report(as_json)
    out.result(command.accept(env, out, yes=yes, output=output, answers=answers))


@click.command()
@stack
@click.argument("act", type=click.Choice(["verify", "restore", "accept"]))
def state(name: str, act: str, as_json: bool) -> None:
    """Say whether states are whole, put copies of them back, or take them as they are."""
    from stacks.commands import state as command

    out = report(as_json)
    acts = {"verify": command.verify, "restore": command.restore, "accept": command.accept}
    out.result(acts[act](name, out))


@click.command()
@stack
@click.option("--yes", is_flag=True, help="Really forget.")
@wait_option
def reset(name: str, *, as_json: bool, yes: bool, wait: bool) -> None:
    """End the local cloud and forget its data, without asking an engine."""
    from stacks.commands import reset as command

    out = report(as_json)
    out.result(command.reset(name, out, confirmed=yes, wait=wait))


@click.group()
def fault() -> None:
    """Let requests to the local cloud fail on purpose, and see what survives it."""


@fault.command("inject")
@click.argument("kind", type=click.Choice(FAULTS))
@click.argument("service")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the requests.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which of them.")
@click.option("--operation", default="*", show_default=True, help="A name or a pattern.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 600),
    default=1.0,
    show_default=True,
    help="Of latency.",
)
@json_option
def fault_inject(kind: str, service: str, *, as_json: bool, **asked: Any) -> None:
    """Let requests for SERVICE (as boto3 calls it) fail by KIND, until they are cleared.

    throttle and 5xx are answers to ask again, latency makes answers late; capacity is a machine
    that is not there (of SageMaker a job or endpoint that fails with CapacityError), quota a limit
    of the account.
    """
    from stacks.commands import faults as command

    out = report(as_json)
    out.result(command.inject(kind, service, out, **asked))


@fault.command("list")
@json_option
def fault_list(as_json: bool) -> None:
    """Say which faults hold, and how often each happened."""
    from stacks.commands import faults as command

    out = report(as_json)
    out.result(command.listed(out))


@fault.command("clear")
@json_option
def fault_clear(as_json: bool) -> None:
    """Let everything work again."""
    from stacks.commands import faults as command

    out = report(as_json)
    out.result(command.clear(out))


@click.command("execution")
@click.argument("name", metavar="ENV[.WORKLOAD]")
@click.argument("arn", metavar="[EXECUTION_ARN]", required=False)
@file_option("--output", "Default: executions/ in the home, which `run` writes too.")
@json_option
def execution(name: str, arn: str | None, output: Path | None, *, as_json: bool) -> None:
    """Write a page about an execution of any pipeline: graph, timeline, logs, metrics, cache.

    By default about the newest of a workload.
    """
    from stacks.commands import execution as command

    out = report(as_json)
    out.result(command.execution(name, arn, output, out))


TOOLS = (
    accept,
    bootstrap,
    compile_,
    coverage,
    diff,
    execution,
    fault,
    lint_pipeline,
    prices,
    reset,
    sandbox,
    state,
    toolchain,
    workload,
)
