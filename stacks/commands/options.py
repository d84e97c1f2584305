"""Options and arguments that several commands of the command line have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object as the last line."
)


KINDS = ("cloud", "cluster", "endpoint", "function", "job", "tracking")
"""Of logs; `stacks/targets/logs.py` says where each lies (a test compares)."""


FAULTS = ("throttle", "5xx", "latency", "capacity", "quota")
"""Kinds that `stacks/local/aws/faults.py` knows (a test compares)."""


def stack(command: Command) -> Command:
    """The argument ENV or ENV.LAYER, and the option --json."""
    return click.argument("name", metavar="ENV[.LAYER]")(json_option(command))


def layer(command: Command) -> Command:
    """The argument ENV.LAYER, and the option --json."""
    return click.argument("name", metavar="ENV.LAYER")(json_option(command))


def workload(command: Command) -> Command:
    """The argument ENV.WORKLOAD, and the option --json."""
    return click.argument("name", metavar="ENV.WORKLOAD")(json_option(command))


port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    envvar="PLINTH_PORT",
    help="Port of the local AWS endpoint. Default: a free one.",
)


refresh_option = click.option(
    "--refresh",
    is_flag=True,
    help="Read what is in the cloud first: somebody may have changed it by hand.",
)


wait_option = click.option(
    "--wait", is_flag=True, help="Wait for a command that changes the same stack."
)


def file_option(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, type=click.Path(path_type=Path), metavar="FILE", help=text)


def report(as_json: bool) -> Any:
    from stacks.commands.output import CommandOutput

    return CommandOutput(as_json=as_json)
