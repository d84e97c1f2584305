"""Where the stacks of an environment live: on this machine, or in an AWS account.

The only place that asks which environment it is: commands talk to a `Target`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from infra.naming import Names
from stacks.stack_name import LOCAL
from stacks.targets.aws_clients import Clients

if TYPE_CHECKING:
    from stacks.commands.output import CommandOutput
    from stacks.settings.model import Settings
    from stacks.stack_name import StackName
    from stacks.targets.engine import Stack
    from stacks.targets.logs import Log
    from stacks.targets.machine import Need
    from stacks.targets.state import State

Fetch = Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], bytes]]
"""URL and headers -> status, headers and body."""

Chosen = TypeVar("Chosen", bound="Settings")


class Target(Protocol):
    """What commands need of the place where an environment lives."""

    env: str

    confirmation: str
    """What `destroy --yes` must be followed by; empty where nothing but the flag is asked."""

    on_this_machine: bool
    """It lives where the command runs, and nobody else deploys it."""

    new_image: str
    """Digest, in a new workload's file, of an image that nobody has built yet."""

    def can_deploy(self) -> bool:
        """Whether an engine can be asked from here; without credentials a synth must do."""

    def start(self, report: CommandOutput, *, port: int | None = None) -> None:
        """Make ready what every engine needs; UserError says what is missing."""

    wait: bool
    """Whether to wait for others who change the same stack. Default: say who does, and end."""

    def engine(self, stack: StackName, report: CommandOutput) -> Stack:
        """The engine on one stack, after `start`, for what changes no state."""

    def writing(self, stack: StackName, report: CommandOutput) -> AbstractContextManager[Stack]:
        """The engine on a stack that nobody else changes meanwhile; UserError says who does."""

    def ending(self, report: CommandOutput) -> AbstractContextManager[None]:
        """Nobody else changes any stack of the environment meanwhile."""

    def state_of(self, stack: StackName) -> State:
        """Whether an engine may act on a stack's state, and what copies of it there are."""

    def restore_state(self, stack: StackName) -> float:
        """Put the newest whole copy back; when it was written, in seconds since 1970."""

    def accept_state(self, stack: StackName) -> None:
        """Take a whole state for what it is; UserError where it is damaged."""

    def deployable(self, settings: Chosen, report: CommandOutput) -> Chosen:
        """The settings as far as they can be deployed here."""

    def settled(self, stack: StackName) -> None:
        """An update of this stack ended: its state is what the cloud holds."""

    def clients(self, region: str) -> Clients:
        """Clients of AWS in a region; UserError where there are no credentials."""

    def fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Ask the internet, for checks; Unknowable where there is none."""

    def plain_http(self, region: str) -> Clients:
        """Clients that leave TLS out, for checks; Unknowable where there is none to leave out."""

    def kubernetes(self, clients: Clients, names: Names) -> Any:
        """A client of the cluster's API server; Unknowable where it cannot be reached."""

    def state(self) -> dict[str, Any]:
        """What `plinth status` shows beside the stacks."""

    def resource_counts(self) -> dict[str, int]:
        """Cloud resources by stack, as far as the state can be read without an engine."""

    def logs(self, names: Names) -> list[Log]:
        """What things with these names wrote, the newest last."""

    def needs(self) -> list[Need]:
        """What it needs of this machine, what of that is there, and how to get the rest."""

    def variables(self) -> dict[str, str]:
        """Environment variables for plain clients of this environment."""

    def end(self, report: CommandOutput) -> list[str]:
        """After everything is deleted: what was left, by name."""

    def forget(self, report: CommandOutput) -> None:
        """Delete everything at once, without an engine; UserError where that must not be."""


def target_of(env: str) -> Target:
    """The target of an environment."""
    if env == LOCAL:
        from stacks.targets.local import LocalTarget

        return LocalTarget()
    from stacks.targets.account import AccountTarget

    return AccountTarget(env)
