"""Makes the environment `local` ready for the engine: cloud up, state fit for it, locks honest."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from infra.errors import UserError
from stacks.local.daemon import client as session
from stacks.local.runtime import container, keys
from stacks.toolchain import pulumi as toolchain

ENV = "local"
STARTED_BY = "PLINTH_STARTED_BY"
"""Tells an engine, and whoever finds it later, which command line waits for it."""

ORPHAN_GRACE_SECONDS = 10
"""How long an engine whose command line was killed may take to end by itself."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(container.SDK_DEFAULTS),
    "SAGEMAKER_VALIDATE_ROLE": "false",
}
"""Usage reporting off; no role simulation, since moto has no SimulatePrincipalPolicy."""

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
        tracking = self.home / ENV / "mlflow.json"
        if tracking.exists():
            homes["MLFLOW_TRACKING_URI"] = str(json.loads(tracking.read_text())["url"])
            homes["MLFLOW_S3_ENDPOINT_URL"] = self.cloud.endpoint_url
        if self.kubeconfig.exists():
            homes["KUBECONFIG"] = str(self.kubeconfig)
        return homes | {name: value for name, value in mine.items() if name not in hidden}


def state_folder(home: Path) -> Path:
    """Where the file backend keeps the state of all stacks."""
    return home / ENV / "state"


def start(home: Path, port: int | None, say: Say) -> LocalEnvironment:
    """Find or start the cloud and make the state of the stacks fit it.

    A state that describes another cloud is put aside: what it lists is gone with that cloud.
    """
    cloud = session.find(home)
    if cloud is None:
        say("starting the local cloud")
        cloud = session.start(home, port)
    elif port is not None and not cloud.endpoint_url.endswith(f":{port}"):
        raise UserError(
            f"the local cloud must listen on port {port}, got {cloud.endpoint_url}",
            fix="type `plinth destroy local --yes` first, or leave --port out",
        )
    with _one_at_a_time(home):
        _fit_state(home, cloud.cloud_id, say)
    return LocalEnvironment(home=home, cloud=cloud)


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Commands on several stacks may start at once: they look at the state one after another."""
    with (home / ENV / "state.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fit_state(home: Path, cloud_id: str, say: Say) -> None:
    state = state_folder(home)
    state.mkdir(parents=True, exist_ok=True)
    owner = home / ENV / "state-of-cloud"
    if owner.exists() and owner.read_text() != cloud_id and any(state.iterdir()):
        lost = state.with_name("state-of-a-lost-cloud")
        shutil.rmtree(lost, ignore_errors=True)
        state.rename(lost)
        state.mkdir()
        say("the cloud that held these stacks is gone: their state is put aside, starting anew")
    owner.write_text(cloud_id)


def clear_dead_lock(home: Path, stack: str, say: Say) -> bool:
    """Remove a stack's lock of an engine that no longer runs; whether there was one.

    An engine that outlived its command line is given time to end, then stopped: it is ours.
    UserError when a living command line holds the lock.
    """
    cleared = False
    for lock in _locks(home, stack):
        owner = _read(lock)
        engine = _process(int(owner.get("pid", 0)), owner)
        if engine is not None:
            if not _is_orphan(engine):
                raise UserError(
                    f"stack {stack} must not be updated twice at once, got another update by "
                    f"process {engine.pid} ({' '.join(engine.cmdline()[:3])})",
                    fix=f"wait for it, or stop process {engine.pid}",
                )
            say(f"waiting for the engine of a command that was killed (process {engine.pid})")
            _end(engine)
        lock.unlink(missing_ok=True)
        say(f"cleared the lock of process {owner.get('pid')}, which no longer runs")
        cleared = True
    if cleared:
        end_orphaned_plugins(home)
        remove_torn_files(state_folder(home), stack)
        _cut_off(home, stack).parent.mkdir(exist_ok=True)
        _cut_off(home, stack).touch()
    return cleared


def was_cut_off(home: Path, stack: str) -> bool:
    """Whether an engine was killed since the last update that ended: its state is too old."""
    return _cut_off(home, stack).exists()


def mended(home: Path, stack: str) -> None:
    """An update ended: the state is what the cloud holds."""
    _cut_off(home, stack).unlink(missing_ok=True)


def forget(home: Path) -> None:
    """Nothing is deployed any more."""
    end_orphaned_plugins(home)
    shutil.rmtree(home / ENV / "cut-off", ignore_errors=True)
    shutil.rmtree(home / ENV / "policy-config", ignore_errors=True)


def _cut_off(home: Path, stack: str) -> Path:
    return home / ENV / "cut-off" / stack


def _locks(home: Path, stack: str) -> list[Path]:
    """Locks of a stack, or of all stacks (`*`)."""
    folder = state_folder(home) / ".pulumi" / "locks"
    return sorted(folder.glob(f"**/{stack}/*.json"))


def remove_torn_files(state: Path, stack: str) -> None:
    """Delete what a killed engine wrote half beside its checkpoint; call it only without an engine.

    The backend replaces a checkpoint in one step, but its `.attrs` beside it (a hash and a content
    type) is written in place: an empty one stops every later command with `EOF`. Engines of other
    stacks may be at work: their drafts are left alone.
    """
    for draft in state.rglob("*.tmp"):
        if draft.name.startswith((f"{stack}.", f"{stack}-")) or draft.parent.name == stack:
            draft.unlink(missing_ok=True)
    for attributes in state.rglob("*.attrs"):  # without one a file has none: no engine misses it
        if not _read(attributes):
            attributes.unlink(missing_ok=True)


def has_pending_operations(home: Path, stack: str) -> bool:
    """Whether the last update was cut off while it created, changed or deleted something."""
    return bool(_deployment(home, stack).get("pending_operations"))


def resource_count(home: Path, stack: str) -> int:
    """How many cloud resources a stack's state holds."""
    return sum(
        bool(resource.get("custom")) and not resource["type"].startswith("pulumi:")
        for resource in _deployment(home, stack).get("resources") or []
    )


def _deployment(home: Path, stack: str) -> dict[str, Any]:
    """The newest deployment in the file backend's checkpoint; empty before the first."""
    path = state_folder(home) / ".pulumi" / "stacks" / "plinth" / f"{stack}.json"
    return _read(path).get("checkpoint", {}).get("latest") or {}


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return data if isinstance(data, dict) else {}


def _process(pid: int, owner: Mapping[str, Any]) -> psutil.Process | None:
    """The engine that took the lock, if it still runs: same id, Pulumi, started before the lock."""
    try:
        process = psutil.Process(pid)
        taken = datetime.fromisoformat(str(owner.get("timestamp"))).timestamp()
        same = "pulumi" in process.name() and process.create_time() <= taken
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ValueError):
        return None


def _is_orphan(engine: psutil.Process) -> bool:
    """Whether the command line that started this engine is gone; never of one typed by hand."""
    try:
        pid, _, started = engine.environ().get(STARTED_BY, "").partition("@")
        if not pid:
            return False
        parent = psutil.Process(int(pid))
        return f"{parent.create_time()}" != started or parent.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_orphaned_plugins(home: Path) -> None:
    """End what engines of this home that were killed had started: policy packs wait for ever."""
    mine = f"file://{state_folder(home)}"
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            variables = process.environ()
            started_here = STARTED_BY in variables and variables.get("PULUMI_BACKEND_URL") == mine
            engines = (process, *process.parents())
            if started_here and not any(one.name() == "pulumi" for one in engines):
                left.append(process)
    _stop(left)


def _end(engine: psutil.Process) -> None:
    try:
        engine.wait(ORPHAN_GRACE_SECONDS)
    except psutil.TimeoutExpired:
        _stop([engine, *engine.children(recursive=True)])
        time.sleep(0.1)


def _stop(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
