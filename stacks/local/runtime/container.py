"""What a program finds when it runs 'in its container': files under /opt/ml and an environment.

There is no container engine. Where the kernel allows private namespaces, /opt/ml is real and
belongs to the one program, which can write nothing else of the machine (enter.py) and whose
processes end with it. Elsewhere paths that start with /opt/ml are rewritten in arguments and
environment, `OPT_ML` names the folder, and nothing but good manners keeps a program from other
files (reduced fidelity, reported in cloud.json). Either way what it installs goes into an
environment of its own (layer.py).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stacks.local.runtime.keys import Keys
from stacks.local.runtime.layer import make as make_layer
from stacks.local.runtime.processes import Children

OPT_ML = "/opt/ml"
FOLDERS = ("ml", "opt", "lib", "tmp")
"""In the folder of a program: what becomes /opt/ml, holds the old /opt and the old /lib meanwhile,
becomes /tmp."""

REPOSITORY = Path(__file__).resolve().parents[3]
SDK_DEFAULTS = Path(__file__).with_name("sagemaker-sdk.yaml")
"""What the SageMaker SDK of a job reads before anything else: it reports nothing from here."""

PROGRAMS = Path(sys.executable).parent
"""Of this Python: what its packages install."""

ISOLATION_VARIABLE = "PLINTH_JOB_ISOLATION"
"""Set to `rewritten-paths` to do without mount namespaces. Default: what the kernel allows."""

Isolation = Literal["namespace", "rewritten-paths"]

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENTER = Path(__file__).with_name("enter.py")

MOUNTS = ("--mount", "--propagation", "private")
PROCESSES = ("--pid", "--fork", "--kill-child", "--mount-proc")
"""Processes of its own: when the first one ends, the kernel ends the others."""

NAMESPACES = (
    ("unshare", *MOUNTS, *PROCESSES),
    ("unshare", "--map-root-user", *MOUNTS, *PROCESSES),
    ("unshare", *MOUNTS),
    ("unshare", "--map-root-user", *MOUNTS),
)
"""Tried in this order."""

AWS_ACCESS = (
    "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
)  # fmt: skip
"""What SageMaker gives no isolated container (developer guide, "Run Training and Inference
Containers in Internet-Free Mode")."""


@dataclass(frozen=True, kw_only=True)
class ContainerRuntime:
    """The machine that plays every instance: how programs are started on it."""

    home: Path
    """PLINTH_HOME; everything lives under `<home>/local`."""

    endpoint_url: str
    region: str
    keys: Keys
    """Those of the home: what the local cloud itself signs with, never a program of somebody."""

    namespace: tuple[str, ...]
    """The `unshare` command in front of a program. Empty: paths are rewritten."""

    closed_namespace: tuple[str, ...]
    """The same in front of an isolated program, with a network in which there is nothing where
    the kernel grants one."""

    children: Children

    @property
    def state(self) -> Path:
        return self.home / "local"

    @property
    def logs(self) -> Path:
        """What servers and functions print, kept when they end."""
        return self.state / "logs"

    def start(
        self,
        argv: Sequence[str],
        *,
        purpose: str,
        directory: Path,
        environment: Mapping[str, str],
        log: Path,
        credentials: Mapping[str, str],
        ours: bool = True,
        isolated: bool = False,
        seen: Sequence[Path] = (),
        hosts: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program whose /opt/ml is `<directory>/ml`; isolated, it can reach no AWS.

        `credentials`: variables of the session of its role. `ours`: our own code and programs are
        what its image holds. `seen`: folders of this machine that it reads besides.
        `hosts`: its /etc/hosts. Default: this machine's.
        """
        opt_ml = directory / "ml"
        for name in FOLDERS:
            (directory / name).mkdir(parents=True, exist_ok=True)
        env = self._environment(environment, directory, credentials, ours=ours)
        if isolated:
            env = {name: value for name, value in env.items() if name not in AWS_ACCESS}
        if self.namespace:
            namespace = self.closed_namespace if isolated else self.namespace
            programs = [Path(entry) for entry in env["PATH"].split(":") if entry]
            kept = [path for path in programs if not path.is_relative_to(self.state)]
            command = [*_entering(namespace, directory, self.state, [*kept, *seen], hosts), *argv]
        else:
            command = [_rewritten(argument, opt_ml) for argument in argv]
            env = {name: _rewritten(value, opt_ml) for name, value in env.items()}
            env["OPT_ML"] = str(opt_ml)
        return self.children.spawn(command, purpose=purpose, env=env, cwd=directory, log=log)

    def entered(self, argv: Sequence[str], directory: Path) -> list[str]:
        """The command of a program that is no container, kept to its folder where that can be."""
        for name in FOLDERS:
            (directory / name).mkdir(parents=True, exist_ok=True)
        if not self.namespace:
            return [*argv]
        return [*_entering(self.namespace, directory, self.state), *argv]

    def _environment(
        self,
        own: Mapping[str, str],
        directory: Path,
        credentials: Mapping[str, str],
        *,
        ours: bool,
    ) -> dict[str, str]:
        """A clean environment: nothing of the person's shell reaches a job."""
        layer = directory / "environment"
        base = base_environment(self.endpoint_url, self.region, credentials)
        if not ours:
            base = {**base, "PATH": f"{PROGRAMS}:{SYSTEM_PATH}"}
            del base["PYTHONPATH"]
        return {
            **base,
            **make_layer(layer),
            "PATH": f"{layer / 'bin'}:{base['PATH']}",
            "HOME": str(directory),
            "TMPDIR": str(directory / "tmp"),
            **own,
        }


def base_environment(
    endpoint_url: str, region: str, credentials: Mapping[str, str]
) -> dict[str, str]:
    """What every child of the cloud gets: this Python, the image's programs, this cloud."""
    return {
        "PATH": f"{PROGRAMS}:{REPOSITORY / 'serving' / 'image' / 'bin'}:{SYSTEM_PATH}",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **credentials,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": endpoint_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(SDK_DEFAULTS),
    }


def find_namespace() -> tuple[str, ...]:
    """The `unshare` command that works here, tried for real; empty when none does."""
    if os.environ.get(ISOLATION_VARIABLE) == "rewritten-paths":
        return ()
    for command in NAMESPACES:
        program = shutil.which(command[0])
        if program and _works((program, *command[1:])):
            return (program, *command[1:])
    return ()


def without_network(namespace: tuple[str, ...]) -> tuple[str, ...]:
    """The command with an empty network too, tried for real; as it was when that does not work."""
    closed = (*namespace, "--net")
    return closed if namespace and _works(closed) else namespace


def isolation(namespace: Sequence[str]) -> Isolation:
    """The word for it in cloud.json."""
    return "namespace" if namespace else "rewritten-paths"


def _entering(
    namespace: Sequence[str],
    directory: Path,
    hidden: Path,
    programs: Sequence[Path] = (),
    hosts: Path | None = None,
) -> list[str]:
    """What stands in front of a program: namespaces, and the mounts in them."""
    kept = {str(REPOSITORY), sys.prefix, sys.base_prefix, *map(str, programs)}
    return [
        *namespace, sys.executable, "-I", "-S", str(ENTER),
        "--folder", str(directory), "--hide", str(hidden),
        *(f"--keep={path}" for path in sorted(kept)),
        *([f"--hosts={hosts}"] if hosts else []), "--",
    ]  # fmt: skip


def _works(command: tuple[str, ...]) -> bool:
    with tempfile.TemporaryDirectory() as state:
        directory = Path(state).resolve() / "job"
        for name in FOLDERS:
            (directory / name).mkdir(parents=True)
        (directory / "ml" / "proof").touch()
        argv = _entering(command, directory, directory.parent)
        done = subprocess.run(
            [*argv, "test", "-e", f"{OPT_ML}/proof"], check=False, capture_output=True
        )
    return done.returncode == 0


def _rewritten(text: str, opt_ml: Path) -> str:
    if text == OPT_ML or text.startswith(f"{OPT_ML}/"):
        return str(opt_ml) + text.removeprefix(OPT_ML)
    return text
