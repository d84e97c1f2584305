"""The Pulumi CLI: found, installed the official way, or built from its Go module.

Pins and their evidence: newer versions of the module are not served by the Go module proxy, and
only up to v3.79.0 is the Python language host part of a module that is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from pipelines.toolkit import archives
from stacks.paths import cache
from stacks.pins.table import pins
from stacks.toolchain.build import Say, at_least, build, go, one_at_a_time, run

FOLDER = Path(__file__).parent
PULUMI_VERSION = pins().version("engine/pulumi")
"""Oldest CLI that is used, and the one that is built."""

LANGUAGE_HOST_VERSION = "3.79.0"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


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
        if version and path.parent.name == "bin" and at_least(version, PULUMI_VERSION):
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
    with one_at_a_time():
        found = find()
        if found:
            return found
        if _reachable("get.pulumi.com"):
            say(f"installing Pulumi {PULUMI_VERSION}")
            if _install(say):
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
    with one_at_a_time():
        source = FOLDER / "language_host"
        package = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
        say(f"building pulumi-language-python {LANGUAGE_HOST_VERSION}")
        flags = f"-s -w -X {VERSION_VARIABLE}=v{LANGUAGE_HOST_VERSION}"
        build(package, executable, folder=source, flags=flags, say=say)
        module = run([*go(), "list", "-f", "{{.Dir}}", package], cwd=source).strip()
        helper = Path(module).parent / "pulumi-language-python-exec"
        shutil.copyfile(helper, folder / helper.name)
        (folder / helper.name).chmod(0o755)
    return folder


def _root() -> Path:
    return cache() / f"pulumi-{PULUMI_VERSION}"


def _install(say: Say) -> bool:
    """The official archive, once its checksum is right; False where either does not get through.

    The archive comes from Pulumi's own host and its SHA-512 from the release on GitHub, so that
    neither of them alone can put another program here.
    """
    archive = f"pulumi-v{PULUMI_VERSION}-{_platform()}.tar.gz"
    try:
        packed = _fetched(f"{ARCHIVES}/{archive}")
        sums = _fetched(f"{SUMS}/v{PULUMI_VERSION}/SHA512SUMS").decode()
    except OSError as error:
        say(f"no official Pulumi to be had: {error}")
        return False
    _check(archive, packed, sums)
    draft = _root().with_name(f"{_root().name}.{os.getpid()}")
    kept = draft.with_name(f"{draft.name}.tar.gz")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(packed)
    archives.unpack(kept, draft)
    kept.unlink()
    for program in (draft / "pulumi").iterdir():
        program.chmod(0o755)  # of no file are its rights unpacked
    (draft / "pulumi").rename(draft / "bin")  # the archive has all programs in one folder
    draft.replace(_root())
    return (_root() / "bin" / "pulumi").exists()


ARCHIVES = "https://get.pulumi.com/releases/sdk"
SUMS = "https://github.com/pulumi/pulumi/releases/download"
SECONDS = 120


def _check(archive: str, packed: bytes, sums: str) -> None:
    """UserError where the release says another checksum of the archive, or none."""
    said = {name.lstrip("*"): digest for digest, _, name in map(_halves, sums.splitlines())}
    got = hashlib.sha512(packed).hexdigest()
    if said.get(archive) != got:
        wanted = said.get(archive, "which names none")
        raise UserError(
            f"{archive} must have the SHA-512 of its release, {wanted}, got {got}",
            fix="download it again; if it stays so, tell Pulumi and install nothing",
        )


def _halves(line: str) -> tuple[str, str, str]:
    digest, space, name = line.strip().partition(" ")
    return digest.lower(), space, name.strip()


def _platform() -> str:
    """As archives are named: `linux-x64`."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
    name = platform.machine().lower()
    return f"{platform.system().lower()}-{machine.get(name, name)}"


def _fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        body: bytes = answer.read()
    return body


def _reachable(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=5):
            return True
    except OSError:
        return False


def _version(executable: Path) -> str | None:
    match = re.search(r"(\d+\.\d+\.\d+)", run([str(executable), "version"]))
    return match.group(1) if match else None
