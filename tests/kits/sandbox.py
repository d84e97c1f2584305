"""What a hostile program finds on a machine, and how a test knows that it got something.

Everything in this world may be read and written by everybody, and its processes belong to whom the
program is outside: where an attack fails, it is the sandbox that held.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

NEEDLE = "plinth-canary-"
CANARY = f"{NEEDLE}7f3a91"
WON = "won-it-5c02"
UNTRACKED = (
    ".env", ".env.local", ".env.production", ".envrc", ".git-credentials", ".netrc", ".npmrc",
    ".pypirc", ".aws/credentials", ".aws/sso/cache/token.json", ".docker/config.json",
    ".kube/config", "kubeconfig", "kubeconfig.yaml", "terraform.tfvars", "prod.auto.tfvars",
    ".terraform/terraform.tfstate", "secrets.yaml", "id_rsa", "deploy.pem", "service-account.json",
    "home/.ssh/id_ed25519", "home/.bash_history", ".cache/pip/http/x", ".plinth-home/keys.json",
    "stacks/environments/local-secrets.yaml", ".ipynb_checkpoints/a.ipynb", "notes.txt",
)  # fmt: skip
"""Files that lie in a checkout and are no part of its commit."""

FILES = {
    "home/.aws/credentials": CANARY,
    "home/.ssh/id_ed25519": CANARY,
    "state/state.json": CANARY,
    "repository/.plinth/local/state.json": CANARY,
    **{f"repository/{name}": CANARY for name in UNTRACKED},
    "repository/requirements.lock": "locked",
    "packages/module.py": "",
    "shared/file": "",
}


@dataclass
class World:
    """A machine with something to steal, reach and break."""

    root: Path
    victim: subprocess.Popen[bytes]
    ports: dict[str, Any]
    reached: list[str] = field(default_factory=list)
    """Who was talked to."""

    before: dict[str, Any] = field(default_factory=dict)
    shm: Path | None = None

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def output(self) -> Path:
        return self.root / "output"

    def described(self, *, sandboxed: bool) -> str:
        """What the attacker knows: where everything is, and not what is in it."""
        pids = [1, self.victim.pid] if sandboxed else [self.victim.pid]
        packages = sysconfig.get_path("purelib") if sandboxed else str(self.root / "packages")
        known = {
            **{name: str(self.root / name) for name in ("home", "state", "shared")},
            **self.ports,
            "repository": str(self.repository),
            "output": str(self.output),
            "victim_pid": self.victim.pid,
            "pids": pids,
            "packages": packages,
            "metadata": "127.0.0.2",
            "needle": NEEDLE,
            "won": WON,
            "long": "x" * 1000,
            "key": "plinth-key",
            "shm": self.shm.name if self.shm else "",
        }
        return json.dumps(known)

    def snapshot(self) -> dict[str, Any]:
        """Every file but those of the output folder."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else path.is_dir()
            for path in sorted(self.root.rglob("*"))
            if not path.is_socket() and not path.is_relative_to(self.output)
        }

    def harm(self, text: str) -> list[str]:
        """What a program got, reached or broke; nothing where it failed."""
        found = [f"it talked to {who}" for who in self.reached]
        handed = [path.read_bytes() for path in _plain(self.output)]
        if CANARY in text or any(CANARY.encode() in raw for raw in handed):
            found.append("it read the canary")
        if WON in text:
            found.append("it did what it must not")
        after = self.snapshot()
        changed = {
            name for name in {*self.before, *after} if self.before.get(name) != after.get(name)
        }
        found += [f"it changed {name}" for name in sorted(changed)]
        if self.victim.poll() is not None:
            found.append("it ended a process")
        planted = Path(sysconfig.get_path("purelib"), "owned.pth")
        if planted.exists():
            planted.unlink()
            found.append("it changed the packages")
        return found

    def unsafe_output(self) -> list[str]:
        """What in the output folder is not a plain file with a plain name."""
        wrong = []
        for path in self.output.rglob("*"):
            seen = path.lstat()
            plain = stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1
            if not plain or seen.st_mode & 0o7111 or not path.name[0].isalnum():
                wrong.append(path.name)
        return wrong


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"},
    )


def commit(repository: Path, *names: str) -> None:
    """Commit these files, and no others."""
    git(repository, "add", "--force", *names)
    git(repository, "commit", "--quiet", "--message", "change")


def _plain(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@contextmanager
def world() -> Iterator[World]:
    """A fresh one, outside pytest's folders, which are closed to others."""
    root = Path(tempfile.mkdtemp(prefix="plinth-world-", dir="/var/tmp"))
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "repository/link").symlink_to(root / "state")
    git(root / "repository", "init", "--quiet")
    commit(root / "repository", "requirements.lock", "link")
    with (root / "repository/.git/config").open("a") as config:
        config.write(f'[http]\n\textraheader = "{CANARY}"\n')
    (root / "repository/.git/hooks/sample").write_text("")
    (root / "repository/.git/FETCH_HEAD").write_text(f"https://{CANARY}@example.com\n")
    shm = Path("/dev/shm", root.name)
    shm.write_text(CANARY)
    for path in (root, shm, *root.rglob("*")):
        path.chmod(0o777)
    nobody = {"user": 65_534, "group": 65_534, "extra_groups": []} if os.getuid() == 0 else {}
    victim = subprocess.Popen(
        ["/bin/sh", "-c", "while :; do sleep 60; done", CANARY],
        env={"SECRET": CANARY},
        cwd=root / "home",
        start_new_session=True,
        **nobody,  # type: ignore[call-overload]
    )
    with _listening(root) as (ports, reached):
        made = World(root, victim, ports, reached, shm=shm)
        made.before = made.snapshot()
        made.output.mkdir()
        made.output.chmod(0o777)
        try:
            yield made
        finally:
            with suppress(ProcessLookupError):
                os.killpg(victim.pid, signal.SIGKILL)
            victim.wait()
            shm.unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _listening(root: Path) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Servers of every kind that a program could talk to."""
    reached: list[str] = []
    abstract = f"{root.name}-abstract"
    sockets = {
        "tcp": _bound(socket.AF_INET, ("0.0.0.0", 0)),
        "tcp6": _bound(socket.AF_INET6, ("::1", 0)),
        "udp": _bound(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM),
        "unix": _bound(socket.AF_UNIX, str(root / "daemon.sock")),
        "abstract": _bound(socket.AF_UNIX, "\0" + abstract),
    }
    (root / "daemon.sock").chmod(0o777)
    for name, server in sockets.items():
        Thread(target=_note, args=(name, server, reached), daemon=True).start()
    ports = {
        "tcp_port": sockets["tcp"].getsockname()[1],
        "tcp6_port": sockets["tcp6"].getsockname()[1],
        "udp_port": sockets["udp"].getsockname()[1],
        "unix_socket": str(root / "daemon.sock"),
        "abstract_socket": abstract,
        "address": _own_address(),
    }
    try:
        yield ports, reached
    finally:
        for server in sockets.values():
            server.close()


def _bound(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> socket.socket:
    server = socket.socket(family, kind)
    server.bind(address)
    if kind == socket.SOCK_STREAM:
        server.listen()
    return server


def _note(name: str, server: socket.socket, reached: list[str]) -> None:
    with suppress(OSError):
        while True:
            if server.type == socket.SOCK_DGRAM:
                server.recv(64)
            else:
                server.accept()[0].close()
            reached.append(name)


def _own_address() -> str:
    """The address of this machine's network card; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"
