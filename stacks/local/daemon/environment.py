"""Makes the environment `local` ready for the engine: cloud up, state fit for it, locks honest."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.errors import UserError
from stacks.local.daemon import client as session
from stacks.local.daemon import state_files
from stacks.local.daemon.killed_engines import STARTED_BY
from stacks.local.daemon.state_files import state_folder
from stacks.local.runtime import container, files, keys
from stacks.toolchain import pulumi as toolchain

ENV = "local"
CLOUD_ID = re.compile("[0-9a-f]{16}")

ROOM_BYTES = 32 * 2**20
"""What an update writes at most: the states of all stacks, their copies and the engine's
history."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(container.SDK_DEFAULTS),
    "SAGEMAKER_VALIDATE_ROLE": "false",
}
"""Usage reporting off. No check of a role before each call of the SDK, in an account neither: it
asks for actions on every resource, which IAM denies to roles that may use only their own."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class LocalEnvironment:
    """The folder of one local environment and the cloud that runs for it."""

    home: Path
    cloud: session.CloudInfo

    @property
    def state(self) -> Path:
        return state_folder(self.home)

    @property
    def kubeconfig(self) -> Path:
        """There while the local EKS cluster has a control plane."""
        return self.home / ENV / "kubernetes" / "kubeconfig"

    def clients(self) -> dict[str, str]:
        """Environment variables with which any AWS client reaches this cloud and no other."""
        return {
            **keys.load(self.home).aws(),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            **QUIET,
        }

    def engine(self) -> dict[str, str]:
        """Environment variables of the Pulumi engine.

        The state of `local` holds no secret, so its passphrase is empty; a real environment names a
        KMS key in its stack file.
        """
        return {
            **self.clients(),
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_DEBUG_PROVIDERS": self._providers(),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            # one checkpoint at the end, not two per resource: the provider's ledger, not the
            # state, knows what a killed engine made (`_adopted` in server.py)
            "PULUMI_EXPERIMENTAL": "true",
            "PULUMI_SKIP_CHECKPOINTS": "true",
            "PLINTH_PYTHON": sys.executable,
            STARTED_BY: f"{os.getpid()}@{psutil.Process().create_time()}",
            # the launcher of policy packs, for where no language host is installed
            "PATH": f"{toolchain.FOLDER / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        }

    def _providers(self) -> str:
        """The running plugins, as the engine is told of them."""
        ports = {"aws": self.cloud.provider_port, "kubernetes": self.cloud.kubernetes_port}
        return ",".join(f"{package}:{port}" for package, port in ports.items())

    def shell(self) -> dict[str, str]:
        """Environment variables for commands typed by hand: pulumi, aws, kubectl, python."""
        mine = self.engine()
        hidden = ("PATH", "PLINTH_PYTHON", STARTED_BY)
        homes = {"PLINTH_HOME": str(self.home), **keys.load(self.home).tracking()}
        tracking = files.read_json(
            self.home / ENV / "mlflow.json",
            fix="type `plinth destroy local --yes`, then `plinth up local`",
        )
        if tracking is not None:
            homes["MLFLOW_TRACKING_URI"] = str(tracking["url"])
            homes["MLFLOW_S3_ENDPOINT_URL"] = self.cloud.endpoint_url
            homes["SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"] = self.cloud.endpoint_url
        if self.kubeconfig.exists():
            homes["KUBECONFIG"] = str(self.kubeconfig)
        return homes | {name: value for name, value in mine.items() if name not in hidden}


def start(home: Path, port: int | None, say: Say, room_bytes: int = ROOM_BYTES) -> LocalEnvironment:
    """Find or start the cloud and make the state of the stacks fit it.

    A state that describes another cloud is put aside: what it lists is gone with that cloud.
    """
    check_room(home, room_bytes)
    cloud = session.find(home)
    fresh = False
    if cloud is None:
        say("starting the local cloud")
        cloud = session.start(home, port)
        fresh = not cloud.restored
        for note in cloud.notes:
            say(note)
    elif port is not None and not cloud.endpoint_url.endswith(f":{port}"):
        raise UserError(
            f"the local cloud must listen on port {port}, got {cloud.endpoint_url}",
            fix="type `plinth destroy local --yes` first, or leave --port out",
        )
    with _one_at_a_time(home):
        _fit_state(home, cloud.cloud_id, say, fresh=fresh)
    return LocalEnvironment(home=home, cloud=cloud)


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Commands on several stacks may start at once: they look at the state one after another."""
    (home / ENV / "state.lock").touch(mode=files.OWNER_ALONE)
    with (home / ENV / "state.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fit_state(home: Path, cloud_id: str, say: Say, *, fresh: bool) -> None:
    """Put aside what describes another cloud; a note of which it describes may itself be lost."""
    state = state_folder(home)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = home / ENV / "state-of-cloud"
    noted = owner.read_text(errors="replace") if owner.exists() else ""
    another = noted != cloud_id if CLOUD_ID.fullmatch(noted) else fresh
    if another and any(state.iterdir()):
        lost = state.with_name("state-of-a-lost-cloud")
        shutil.rmtree(lost, ignore_errors=True)
        state.rename(lost)
        state.mkdir(mode=0o700)
        state_files.forget(home)
        say("the cloud that held these stacks is gone: their state is put aside, starting anew")
    files.write(owner, cloud_id.encode())


def check_room(home: Path, room_bytes: int) -> None:
    """UserError where the home cannot be written: an engine would find out half-way."""
    try:
        session.private_folder(home)
        probe = home / ENV / "room"
        files.write(probe, b"")
        probe.unlink(missing_ok=True)  # another command looks, too
        free = shutil.disk_usage(home).free
    except OSError as error:
        raise UserError(
            f"{home} must be a folder that can be written, got {error.strerror}: {error.filename}",
            fix="mend its rights or free room, or set PLINTH_HOME to another folder",
        ) from None
    if free < room_bytes:
        raise UserError(
            f"the disk of {home} must have {room_bytes // 2**20} MiB free, got {free // 2**20}",
            fix="free room, or set PLINTH_HOME to another folder",
        )


def has_pending_operations(home: Path, stack: str) -> bool:
    """Whether the last update was cut off while it created, changed or deleted something."""
    return bool(state_files.latest(home, stack).get("pending_operations"))


def resource_count(home: Path, stack: str) -> int:
    """How many cloud resources a stack's state holds."""
    return sum(
        bool(resource.get("custom")) and not resource["type"].startswith("pulumi:")
        for resource in state_files.latest(home, stack).get("resources") or []
    )
