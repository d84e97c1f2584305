"""An environment in an AWS account, reached with the credentials of whoever types the command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from infra.errors import UserError
from infra.naming import Names
from stacks.paths import shown
from stacks.settings.load import load_environment
from stacks.settings.model import ClusterSettings
from stacks.stack_name import StackName, environment_file, environments
from stacks.targets import aws_clients, machine, policy_settings, probes, state_versions
from stacks.targets.aws_clients import Clients
from stacks.targets.caller import with_caller
from stacks.targets.logs import Log, of_groups
from stacks.targets.state import State
from stacks.targets.state_place import secrets_provider
from stacks.toolchain import pulumi

if TYPE_CHECKING:
    from stacks.commands.output import CommandOutput
    from stacks.settings.model import Settings
    from stacks.targets.engine import Stack

Chosen = TypeVar("Chosen", bound="Settings")

BACKEND = "PULUMI_BACKEND_URL"


class AccountTarget:
    """One environment of an account."""

    on_this_machine = False
    new_image = f"sha256:{'0' * 64} # set by your build"

    def __init__(self, env: str) -> None:
        self.env = env
        self.wait = False
        self.confirmation = env

    def can_deploy(self) -> bool:
        """Whether there are AWS credentials."""
        return aws_clients.has_credentials()

    def start(self, report: CommandOutput, *, port: int | None = None) -> None:
        """Credentials of the right account, a place for the state, the official CLI."""
        if not self.can_deploy():
            raise UserError(
                f"deploying {self.env} needs AWS credentials, got none",
                fix=f"log in to the account of {self.env}; `plinth preview {self.env}` needs none",
            )
        self._backend()
        found = pulumi.find()
        if found is None or found.origin != "PATH":
            raise UserError(
                f"environment {self.env} needs the official Pulumi CLI on PATH, got none",
                fix="install Pulumi from pulumi.com",
            )
        account = load_environment(self.env).account
        check_account(self.env, account.account_id, self.clients(account.region))

    def engine(self, stack: StackName, report: CommandOutput) -> Stack:
        """The official CLI, with the secrets under the environment's key."""
        from stacks.targets.engine import Stack

        found = pulumi.find()
        assert found is not None  # `start` looked
        return Stack(
            name=str(stack),
            pulumi_root=found.root,
            pulumi_home=None,
            environment={
                BACKEND: self._backend(),
                policy_settings.VARIABLE: str(policy_settings.file_of(stack)),
            },
            secrets_provider=secrets_provider(self.env, load_environment(self.env).account.region),
            policy_pack=policy_settings.PACK,
            wait=self.wait,
        )

    @contextmanager
    def writing(self, stack: StackName, report: CommandOutput) -> Iterator[Stack]:
        """The backend's own lock keeps others out."""
        yield self.engine(stack, report)

    @contextmanager
    def ending(self, report: CommandOutput) -> Iterator[None]:
        """The backend's own locks keep others out, stack by stack."""
        yield

    def _backend(self) -> str:
        """Where the state lies: one place, or everything would be made twice."""
        said, here = load_environment(self.env).account.backend_url, os.environ.get(BACKEND)
        if said is None and here is None:
            raise UserError(
                f"environment {self.env} needs a place for its state, got none",
                fix=f"type `plinth bootstrap {self.env}`, or set {BACKEND}",
            )
        if said is not None and here not in (None, said):
            raise UserError(
                f"{BACKEND} must be what {shown(environment_file(self.env))} says, "
                f"account.backend_url {said!r}, got {here!r}",
                fix=f"unset {BACKEND}",
            )
        return said or str(here)

    def state_of(self, stack: StackName) -> State:
        """By the versions of its object."""
        clients, where = self._stored(stack)
        found = state_versions.whole(clients, where, str(stack))
        return State(
            damage=state_versions.damage(clients, where, str(stack)),
            copies=tuple(version.written for version in found),
        )

    def restore_state(self, stack: StackName) -> float:
        """A copy of a version becomes the newest version: none is lost."""
        clients, where = self._stored(stack)
        return state_versions.restore(clients, where, str(stack)).written

    def accept_state(self, stack: StackName) -> None:
        """A whole state is taken as it is anyway."""
        damage = self.state_of(stack).damage
        if damage is not None:
            raise UserError(
                f"the state of {stack} must be whole to be accepted, got {damage}",
                fix=f"type `plinth state {stack} restore`",
            )

    def _stored(self, stack: StackName) -> tuple[Clients, state_versions.Place]:
        region = load_environment(self.env).account.region
        return self.clients(region), state_versions.place(self._backend(), str(stack))

    def deployable(self, settings: Chosen, report: CommandOutput) -> Chosen:
        """All of it, and a way into the cluster for whoever deploys it.

        A package that is not there is for the account to refuse.
        """
        if not isinstance(settings, ClusterSettings):
            return settings
        clients = self.clients(settings.environment.account.region)
        return cast("Chosen", with_caller(settings, clients, report))

    def settled(self, stack: StackName) -> None:
        """The state is the backend's."""

    def clients(self, region: str) -> Clients:
        """Clients with the credentials that boto3 finds."""
        if not self.can_deploy():
            raise UserError(
                f"environment {self.env} needs AWS credentials, got none",
                fix=f"log in to the account of {self.env}",
            )
        import boto3

        return partial(boto3.Session().client, region_name=region)

    def fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Ask the internet."""
        return probes.fetch(url, headers)

    def plain_http(self, region: str) -> Clients:
        """Clients without TLS."""
        return probes.plain_http(region)

    def kubernetes(self, clients: Clients, names: Names) -> Any:
        """The cluster of the account, with the token that AWS gives the caller."""
        return probes.kubernetes_of_account(clients, names)

    def state(self) -> dict[str, Any]:
        """Nothing beside the stacks."""
        return {}

    def resource_counts(self) -> dict[str, int]:
        """Not known without the engine."""
        return {}

    def logs(self, names: Names) -> list[Log]:
        """CloudWatch's groups."""
        return list(of_groups(self.clients(names.region)("logs"), names.prefix))

    def needs(self) -> list[machine.Need]:
        """An official CLI, credentials and a place for the state."""
        return machine.of_account(self.env, self.can_deploy())

    def variables(self) -> dict[str, str]:
        """None: people bring their own credentials."""
        raise UserError(
            f"environment must be local, got {self.env!r}: in {', '.join(environments())} others "
            "use your own credentials"
        )

    def end(self, report: CommandOutput) -> list[str]:
        """The account stays."""
        return []

    def forget(self, report: CommandOutput) -> None:
        """An account forgets nothing."""
        raise UserError(
            f"what is forgotten must be an environment of this machine, got {self.env}",
            fix=f"type `plinth destroy {self.env} --yes {self.env}`",
        )


def check_account(env: str, wanted: str, clients: Clients) -> None:
    """Refuse to act with the credentials of another account."""
    got = clients("sts").get_caller_identity()["Account"]
    if got != wanted:
        raise UserError(
            f"credentials must be of account {wanted}, where {env} lives, got {got}",
            fix=f"log in to account {wanted}",
        )
