"""The environment `local`: one machine with a local cloud and no AWS account."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from infra.errors import UserError
from infra.naming import Names
from stacks.local.daemon import client as daemon
from stacks.local.daemon import environment, killed_engines, leases, state_files
from stacks.local.kubernetes import login
from stacks.local.runtime import keys
from stacks.local.runtime.processes import is_alive
from stacks.paths import home, shown
from stacks.settings.model import ClusterSettings, Settings, WorkloadSettings
from stacks.stack_name import LOCAL, StackName, stacks_of
from stacks.targets import aws_clients, local_session, local_state, machine, policy_settings, probes
from stacks.targets.aws_clients import Clients
from stacks.targets.caller import with_caller
from stacks.targets.logs import Log, of_files
from stacks.targets.state import State
from stacks.toolchain import control_plane, pulumi

if TYPE_CHECKING:
    from stacks.commands.output import CommandOutput
    from stacks.targets.engine import Stack

Chosen = TypeVar("Chosen", bound=Settings)

REGION = "us-east-1"
"""The one that the local cloud has."""


class LocalTarget:
    """The local environment of this home."""

    env = LOCAL
    confirmation = ""
    on_this_machine = True
    new_image = "context # jobs and endpoints run from this checkout"

    def __init__(self) -> None:
        self._ready: environment.LocalEnvironment | None = None
        self._pulumi: pulumi.Pulumi | None = None
        self._made: dict[tuple[str, str], Any] = {}
        self._held: Mapping[str, str] | None = None
        """Keys of the role that acts, once somebody asked; none: the home acts itself."""

        self._making = threading.Lock()
        self.wait = False
        self._ends = False

    def can_deploy(self) -> bool:
        """Always."""
        return True

    def start(self, report: CommandOutput, *, port: int | None = None) -> None:
        """The cloud runs, and the CLI is found or built."""
        with report.stage("cloud", "local cloud") as stage:
            room = 0 if self._ends else environment.ROOM_BYTES
            self._ready = environment.start(home(), port, stage.say, room)
            stage.done = self._ready.cloud.endpoint_url
        with report.stage("toolchain", "Pulumi CLI") as stage:
            self._pulumi = pulumi.ensure(stage.say)
            stage.done = f"{self._pulumi.version} ({self._pulumi.origin})"
        if control_plane.find() is None:
            report.note(
                "no Kubernetes control plane on this machine: objects are checked against schemas "
                f"and recorded. `{control_plane.BUILD_COMMAND}` builds one (about 10 minutes, once)"
            )

    def engine(self, stack: StackName, report: CommandOutput) -> Stack:
        """The CLI on the file backend of this home; UserError where its state is damaged."""
        from stacks.targets.engine import Stack

        assert self._ready is not None and self._pulumi is not None  # after `start`
        behind = killed_engines.was_cut_off(home(), str(stack))
        state_files.check(home(), str(stack), cut_off=behind)
        return Stack(
            name=str(stack),
            pulumi_root=self._pulumi.root,
            pulumi_home=home() / "pulumi",
            environment={
                **self._ready.engine(),
                policy_settings.VARIABLE: str(policy_settings.file_of(stack)),
                **local_session.engine_variables(self._session(self._ready.cloud)),
            },
            secrets_provider="passphrase",
            policy_pack=policy_settings.PACK,
            refresh_first=behind,
            whats_gone=partial(_ended, self._ready.cloud),
        )

    @contextmanager
    def writing(self, stack: StackName, report: CommandOutput) -> Iterator[Stack]:
        """The engine, with what a killed one left put right, for this command alone."""
        name = str(stack)
        with leases.held(home(), name, wait=self.wait, say=report.note):
            self._start_again(report)
            killed_engines.clear_dead_lock(home(), name, report.note)
            made = self.engine(stack, report)
            if environment.has_pending_operations(home(), name):
                count = made.drop_pending_operations()
                state_files.keep(home(), name)
                report.note(f"{name}: {count} operations were cut off: what they made is adopted")
            try:
                yield made
            finally:
                if state_files.engine_ended(home(), name):
                    state_files.keep(home(), name)

    def _start_again(self, report: CommandOutput) -> None:
        """Whoever was waited for may have ended the cloud, and its states with it."""
        assert self._ready is not None  # after `start`
        if self.wait and daemon.find(home()) != self._ready.cloud:
            self._ready = environment.start(home(), None, report.note, environment.ROOM_BYTES)
            self._made, self._held = {}, None

    @contextmanager
    def ending(self, report: CommandOutput) -> Iterator[None]:
        """No other command changes this environment; a full disk keeps nobody from ending it."""
        self._ends = True
        environment.check_room(home(), 0)
        with leases.held_all(home(), wait=self.wait, say=report.note):
            yield

    def state_of(self, stack: StackName) -> State:
        """By its file, the engine's history and copies outside the engine's folder."""
        behind = killed_engines.was_cut_off(home(), str(stack))
        found = state_files.copies(home(), str(stack))
        return State(
            damage=state_files.damage(home(), str(stack), cut_off=behind),
            copies=tuple(copy.written for copy in found),
        )

    def restore_state(self, stack: StackName) -> float:
        """The cloud may hold more: the next update reads it first."""
        put_back = state_files.restore(home(), str(stack))
        state_files.keep(home(), str(stack))
        killed_engines.cut_off(home(), str(stack))
        return put_back.written

    def accept_state(self, stack: StackName) -> None:
        """The cloud may hold something else: the next update reads it first."""
        state_files.accept(home(), str(stack))
        killed_engines.cut_off(home(), str(stack))

    def deployable(self, settings: Chosen, report: CommandOutput) -> Chosen:
        """With a way into the cluster for whoever deploys it, as in an account, and without a
        pinned package that this cloud never had: say so and go on without.

        The pin lives in the repository, the local registry on one machine.
        """
        if isinstance(settings, ClusterSettings):
            return cast("Chosen", with_caller(settings, self.clients(REGION), report))
        if not isinstance(settings, WorkloadSettings):
            return settings
        arn = settings.endpoint.model_package_arn
        if arn is None or aws_clients.package_exists(self.clients(REGION), arn):
            return settings
        report.note(
            f"the pinned {arn.rpartition('model-package/')[2]} is not in this cloud's registry: "
            "nothing is served until one is trained, approved and promoted"
        )
        endpoint = settings.endpoint.model_copy(update={"model_package_arn": None})
        return cast("Chosen", settings.model_copy(update={"endpoint": endpoint}))

    def settled(self, stack: StackName) -> None:
        """Its state is what the cloud holds."""
        killed_engines.mended(home(), str(stack))

    def clients(self, region: str) -> Clients:
        """Clients of the running cloud, with the keys of this home or of the role that deploys."""
        cloud = self._cloud()
        return self._clients(cloud, self._session(cloud) or keys.load(home()).aws())

    def _clients(self, cloud: daemon.CloudInfo, signed: Mapping[str, str]) -> Clients:
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            signed["AWS_ACCESS_KEY_ID"],
            signed["AWS_SECRET_ACCESS_KEY"],
            signed.get("AWS_SESSION_TOKEN"),
            REGION,
        )

        def client(service: str) -> Any:
            key = signed["AWS_ACCESS_KEY_ID"], service
            with self._making:  # boto3 makes one client at a time
                if key not in self._made:
                    self._made[key] = session.client(
                        service,
                        endpoint_url=cloud.endpoint_url,
                        config=Config(
                            s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}
                        ),
                    )
                return self._made[key]

        return client

    def _cloud(self) -> daemon.CloudInfo:
        cloud = daemon.find(home())
        if cloud is None:
            raise UserError("the local cloud must run, got none", fix="type `plinth up local`")
        return cloud

    def _session(self, cloud: daemon.CloudInfo) -> Mapping[str, str]:
        if self._held is None:
            self._held = local_session.session_keys(cloud.endpoint_url, REGION)
        return self._held

    def fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """No network is used."""
        raise probes.unknowable("the environment local uses no network")

    def plain_http(self, region: str) -> Clients:
        """There is no TLS to leave out."""
        raise probes.unknowable("the local endpoint has no TLS")

    def kubernetes(self, clients: Clients, names: Names) -> Any:
        """The control plane behind the local EKS cluster."""
        cloud = daemon.find(home())
        if cloud is None:
            raise probes.unknowable("the local cloud does not run")
        signed = self._session(cloud) or keys.load(home()).aws()
        place = login.Place(endpoint=cloud.endpoint_url, region=REGION, keys=signed)
        file = home() / LOCAL / "kubernetes" / "kubeconfig"
        return probes.kubernetes_of_file(file, lambda cluster: login.token(cluster, place))

    def state(self) -> dict[str, Any]:
        """Processes, ports and addresses of the local cloud."""
        return local_state.state(home(), self._cloud())

    def resource_counts(self) -> dict[str, int]:
        """From the state files."""
        return {
            str(stack): environment.resource_count(home(), str(stack)) for stack in stacks_of(LOCAL)
        }

    def logs(self, names: Names) -> list[Log]:
        """Files of the local cloud; they outlive it until the next destroy."""
        return of_files(home() / LOCAL, names.prefix)

    def needs(self) -> list[machine.Need]:
        """What the local cloud, its engine and its jobs run with."""
        return machine.of_local_cloud()

    def variables(self) -> dict[str, str]:
        """For plain pulumi, boto3, the AWS CLI, kubectl and the SDKs."""
        return environment.LocalEnvironment(home=home(), cloud=self._cloud()).shell()

    def end(self, report: CommandOutput) -> list[str]:
        """Stop the cloud and forget its state; what the state did not know went with it."""
        left = []
        if (cloud := daemon.find(home())) is not None:
            left = aws_clients.leftovers(self._clients(cloud, keys.load(home()).aws()))
        with report.stage("stop", "stop the local cloud"):
            daemon.stop(home())
        if left:
            report.note(f"{len(left)} things unknown to the state went with the cloud: {left}")
        killed_engines.forget(home())
        for name in ("state", "state-of-a-lost-cloud"):
            shutil.rmtree(home() / LOCAL / name, ignore_errors=True)
        return left


def _ended(cloud: daemon.CloudInfo) -> str | None:
    """That the local cloud is gone; None while it runs."""
    if is_alive(cloud.pid, cloud.create_time):
        return None
    return (
        f"the local cloud (process {cloud.pid}) ended meanwhile; its last words are in "
        f"{shown(home() / LOCAL / 'cloud.log')}"
    )
