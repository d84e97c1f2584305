"""The command line: `plinth COMMAND ENV`; a command is one function, heavy imports are inside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from infra.errors import CheckFailed, UserError
from stacks import garbage
from stacks.commands.cli_tools import TOOLS
from stacks.commands.exit_codes import (
    EXIT_CHECK_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USER,
    failed,
    flushed,
    no_memory,
    of_a_cloud,
    of_the_machine,
    open_streams,
)
from stacks.commands.options import (
    KINDS,
    file_option,
    json_option,
    layer,
    port_option,
    refresh_option,
    report,
    stack,
    wait_option,
    workload,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="plinth")
def cli() -> None:
    """Deploy and run the ML platform that the files in stacks/environments describe.

    ENV is local (one machine, no AWS account), dev, prod, or any other with a file there, and means
    all of its stacks; ENV.LAYER is one: foundation, cluster, or a workload.
    """


@cli.command()
@stack
@port_option
@click.option(
    "--with-model",
    is_flag=True,
    help="Then train, approve, promote and serve a first model if none is served, and score it.",
)
@file_option("--plan", "Refuse unless state and commit are those of this review (its JSON report).")
@refresh_option
@wait_option
def up(
    name: str,
    *,
    as_json: bool,
    port: int | None,
    with_model: bool,
    plan: Path | None,
    refresh: bool,
    wait: bool,
) -> None:
    """Make the environment what its file says."""
    from stacks.commands import deploy, first_model

    out = report(as_json)
    if plan is not None:
        if with_model:
            raise click.UsageError("--plan is about one update, --with-model makes several")
        if refresh:
            raise click.UsageError("--plan is about a state, which --refresh would change")
        out.result(deploy.up(name, out, port=port, plan=plan, wait=wait))
        return
    if with_model:
        if refresh:
            raise click.UsageError("--with-model makes several updates, --refresh is about one")
        out.result(first_model.up_with_model(name, out, port=port, wait=wait))
        return
    out.result(deploy.up(name, out, port=port, refresh=refresh, wait=wait))


@cli.command()
@stack
@port_option
@refresh_option
def preview(name: str, as_json: bool, port: int | None, refresh: bool) -> None:
    """Say what `up` would change; a mocked synth where there are no credentials."""
    from stacks.commands import deploy

    out = report(as_json)
    out.result(deploy.preview(name, out, port=port, refresh=refresh))


@cli.command()
@stack
def preflight(name: str, as_json: bool) -> None:
    """Say what would stop a deployment: quotas, reservations, pins, price, permissions."""
    from stacks.commands import checks

    out = report(as_json)
    out.result(checks.preflight(name, out))


@cli.command()
@stack
@click.option("--check", is_flag=True, help="Fail where one is old, unsupported or not offered.")
@click.option("--update", is_flag=True, help="Write what an account offers into the table.")
def pins(name: str, *, check: bool, update: bool, as_json: bool) -> None:
    """List the versions that are pinned; --check their age, support and offer, or --update them."""
    from stacks.commands import checks

    if check and update:
        raise click.UsageError("--check and --update are two commands: type one of them")
    out = report(as_json)
    do = checks.check_pins if check else checks.update_pins if update else checks.list_pins
    out.result(do(name, out))


@cli.command()
@workload
def add_features(name: str, as_json: bool) -> None:
    """Add new features to feature groups that exist, where `up` would replace them."""
    from stacks.commands import add_features as command

    out = report(as_json)
    out.result(command.add_features(name, out))


@cli.command()
@stack
def verify(name: str, as_json: bool) -> None:
    """Say whether what is deployed is what the environment's file says."""
    from stacks.commands import checks

    out = report(as_json)
    out.result(checks.verify(name, out))


@cli.command()
@layer
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--import",
    "imports",
    nargs=3,
    multiple=True,
    metavar="TYPE NAME ID",
    help="A resource of the program and the id of the one that exists.",
)
@click.option("--update", is_flag=True, help="Let the next `up` change them in place.")
def adopt(
    name: str,
    file: str | None,
    imports: tuple[tuple[str, str, str], ...],
    update: bool,
    as_json: bool,
) -> None:
    """Take over resources that exist, named in FILE or by --import, without replacing them."""
    from stacks.commands import adopt as command

    out = report(as_json)
    named = {f"{type_}::{child}": resource_id for type_, child, resource_id in imports}
    out.result(command.adopt(name, file, named, out, update=update))


@cli.command()
@stack
@click.option(
    "--yes",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Really delete; followed by what is deleted once more, but for local.",
)
@click.option("--data", is_flag=True, help="Delete protected data too.")
@wait_option
def destroy(name: str, *, as_json: bool, yes: str | None, data: bool, wait: bool) -> None:
    """Delete a stack, or everything of an environment."""
    from stacks.commands import destroy as command

    out = report(as_json)
    out.result(command.destroy(name, out, confirmed=yes, data=data, wait=wait))


@cli.command()
@stack
def status(name: str, as_json: bool) -> None:
    """Say what exists, where it answers and what is served."""
    from stacks.commands import status as inspect

    out = report(as_json)
    out.result(inspect.status(name, out))


@cli.command()
@stack
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option("--lines", default=20, show_default=True, help="Of each log.")
@click.option("--follow", is_flag=True, help="Go on with what comes.")
def logs(name: str, kind: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Show what endpoints, jobs, functions and the local cloud printed, and where it lies."""
    from stacks.commands import logs as command

    out = report(as_json)
    out.result(command.logs(name, out, kind=kind, lines=lines, follow=follow))


@cli.command()
@workload
@click.argument("pipeline", required=False)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Pipeline parameter.")
def run(name: str, pipeline: str | None, params: tuple[str, ...], as_json: bool) -> None:
    """Run a pipeline of a workload and wait for its end; by default its first."""
    from stacks.commands import model

    pairs = [param.partition("=") for param in params]
    wrong = [param for param, (_, separator, _) in zip(params, pairs, strict=True) if not separator]
    if wrong:
        raise UserError(f"--param must be NAME=VALUE, got {', '.join(wrong)}")
    out = report(as_json)
    given = {name: value for name, _, value in pairs}
    out.result(model.run(name, pipeline, given, out, follow=True))


@cli.command()
@workload
@click.argument("package", required=False)
@click.option("--reason", default="approved on the command line", help="Kept with the package.")
def approve(name: str, package: str | None, as_json: bool, reason: str) -> None:
    """Approve a model PACKAGE (version or ARN); by default the newest that waits."""
    from stacks.commands import model

    out = report(as_json)
    out.result(model.approve(name, package, reason, out))


@cli.command()
@workload
@click.argument("package", required=False)
def promote(name: str, package: str | None, as_json: bool) -> None:
    """Pin an approved PACKAGE in the environment's file; by default the newest."""
    from stacks.commands import model

    out = report(as_json)
    out.result(model.promote(name, package, out))


def explain(context: click.Context, option: click.Parameter, asked: str | None) -> None:
    """What a review knows of a type or a property; of no stack, so the rest is not read."""
    del option
    if asked and not context.resilient_parsing:
        from stacks.commands.explain import explained

        click.echo(explained(asked))
        context.exit()


@cli.command()
@stack
@click.option(
    "--explain",
    metavar="TYPE[.PROPERTY]",
    is_eager=True,
    expose_value=False,
    callback=explain,
    help="Only say what a review knows of a type of resource or of a property, and from where.",
)
@click.option("--base", metavar="REV", help="Compare the synth of this revision with that of now.")
@file_option("--digest", "Read `pulumi preview --json --show-sames`, or its event stream, instead.")
@file_option("--drift", "Tell what `pulumi refresh --preview-only --event-log FILE` found changed.")
@file_option("--quotas", "Compare with what `aws service-quotas list-service-quotas` lists.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "html", "sarif", "json", "infracost"]),
    help="Default: by the name of the file, or terminal.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="May be given for several formats. Default: standard output.",
)
def review(name: str, *, as_json: bool, **asked: Any) -> None:
    """Say what a change loses, exposes, costs and breaks; exit code 1 where it is blocked."""
    from stacks.commands import review as command

    out = report(as_json)
    out.result(command.review(name, out, **asked))


@cli.command("compare-reviews")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@file_option("--output", "Write Markdown there. Default: a table on the terminal.")
@json_option
def compare_reviews(files: tuple[Path, ...], *, as_json: bool, output: Path | None) -> None:
    """Put the JSON reports of several environments' reviews side by side."""
    from stacks.commands import compare_reviews as command

    out = report(as_json)
    out.result(command.compare_reviews(files, out, output=output))


@cli.command()
@stack
@file_option("--digest", "Judge a `pulumi preview --json --show-sames`, or its events.")
@file_option("--state", "Judge a `pulumi stack export`.")
@click.option("--framework", metavar="NAME", help="Show results by controls: hipaa, ai-rmf, ...")
@click.option("--thresholds", "only_thresholds", is_flag=True, help="Only list what rules go by.")
def policy(name: str, *, as_json: bool, only_thresholds: bool, **asked: Any) -> None:
    """Judge the environment by all rules; exit code 1 where a mandatory one fails."""
    from stacks.commands import policy as command
    from stacks.commands.thresholds import thresholds

    out = report(as_json)
    out.result(thresholds(name, out) if only_thresholds else command.policy(name, out, **asked))


@cli.command()
@workload
def predict(name: str, as_json: bool) -> None:
    """Ask the endpoint about days that the model has not seen, and score the answers."""
    from stacks.commands import model

    out = report(as_json)
    out.result(model.predict(name, out))


@cli.command()
@stack
def doctor(name: str, as_json: bool) -> None:
    """Say what this machine lacks for the environment and how to get it."""
    from stacks.commands import status as inspect

    out = report(as_json)
    result = inspect.doctor(name.partition(".")[0], out)
    out.result(result)
    if not result["ok"]:
        sys.exit(EXIT_CHECK_FAILED)


@cli.command("env")
@click.argument("env", metavar="ENV")
@json_option
def env_(env: str, as_json: bool) -> None:
    """Print shell exports for plain pulumi, boto3 and the SageMaker SDK."""
    import shlex

    from stacks.commands import status as inspect

    values = inspect.variables(env)
    out = report(as_json)
    out.result(values)
    for name, value in values.items() if not as_json else ():
        click.echo(f"export {name}={shlex.quote(value)}")


for tool in TOOLS:
    cli.add_command(tool)


def main(argv: list[str] | None = None) -> int:
    """Run a command; exit codes 0 done, 1 a check said no, 2 the person can fix it, 3 our bug."""
    if argv is None:  # a process of its own
        garbage.put_off()  # until an engine runs, or jobs do
    arguments = sys.argv[1:] if argv is None else argv
    open_streams()
    try:
        code = cli.main(arguments, prog_name="plinth", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = EXIT_USER
    except (click.Abort, KeyboardInterrupt):
        code = failed("interrupted", "", EXIT_INTERRUPTED, arguments)
    except UserError as error:
        code = failed(error.problem, error.fix, EXIT_USER, arguments)
    except CheckFailed as error:
        code = failed(error.problem, error.fix, EXIT_CHECK_FAILED, arguments, error.data)
    except OSError as error:
        code = of_the_machine(error, arguments)
    except MemoryError:
        code = no_memory(arguments)
    except Exception as error:  # noqa: BLE001 the one place where a bug becomes a message
        code = of_a_cloud(error, arguments)
    sys.exit(flushed(code or 0))


if __name__ == "__main__":
    main()
