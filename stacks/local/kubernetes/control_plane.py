"""A Kubernetes control plane as child processes: etcd, API server, controllers, scheduler, kwok.

It listens on the loopback interface alone and keeps everything under one folder. Its own programs
have a token; whom else it lets in, and to do what, it asks (`access.py`). Clocks that take minutes
on EKS (a lost node, the eviction of its pods) take seconds here.
"""

import json
import logging
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from infra.errors import UserError
from stacks.local.kubernetes.access import Access, Reviews, serve
from stacks.local.kubernetes.login import kubeconfig
from stacks.local.runtime.files import read_json, write_json
from stacks.local.runtime.processes import Children, free_port, is_free, tail
from stacks.toolchain.control_plane import Kubernetes

READY_SECONDS = 180
POLL_SECONDS = 0.05
STOP_SECONDS = 3.0

MANAGED = {"kwok.x-k8s.io/node": "fake"}
"""Annotation of the nodes whose kubelet kwok plays."""

OWN_STATUS = {"kwok.x-k8s.io/status": "custom"}
"""Annotation of the nodes and pods whose status kwok leaves to others."""

LEASE_SECONDS = 40
"""kwok renews a node's lease four times in this time."""

LOST_NODE_SECONDS = 50
"""A node without a renewed lease is not ready after this time, as on EKS: on a machine that is
busy kwok renews late."""

EVICTION_SECONDS = 5
"""How long a pod tolerates a node that is not ready; 300 s on EKS."""

ADMISSION = "NodeRestriction,ExtendedResourceToleration"
"""What EKS enables beside Kubernetes' defaults (EKS User Guide, Platform versions)."""

SERVICE_RANGE = "10.100.0.0/16"

LEFT = "plane.json"
"""What a control plane leaves to the next one in its folder: whose it is, and its ports."""

ISSUER = "https://kubernetes.default.svc"
"""Whom tokens of service accounts are from and for, where nobody says otherwise."""

PUBLIC_KEY = "service-account.pub"
"""Verifies these tokens."""

OWN_KUBECONFIG = "components.kubeconfig"
"""Of the control plane's own programs, and of the local cloud where it plays one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A running control plane."""

    folder: Path
    url: str
    token: str
    children: Children
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    """By the name of the program, in the order of their start."""

    commands: dict[str, list[str]] = field(default_factory=dict)
    """Command lines by the name of the program."""

    reviews: list[Reviews] = field(default_factory=list)
    """What the API server asks; empty where it lets nobody in beside its own programs."""

    @property
    def ca(self) -> str:
        """Certificate of the authority, PEM."""
        return (self.folder / "ca.crt").read_text()

    @property
    def kubeconfig(self) -> Path:
        return self.folder / OWN_KUBECONFIG

    def dead(self) -> str | None:
        """The first program that ended by itself, with the end of its log."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                return f"{name} ended with exit code {process.returncode}:\n{self._tail(name)}"
        return None

    def revive(self) -> None:
        """Start again what ended by itself: all state is etcd's, and etcd's is on disk."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                log.warning("%s", self.dead())
                self.children.forget(process.pid)
                self.spawn(name, self.commands[name])

    def spawn(self, name: str, command: list[str]) -> None:
        """Start a program; its log is `<name>.log`."""
        self.commands[name] = command
        self.processes[name] = self.children.spawn(
            command,
            purpose=name,
            env={"HOME": str(self.folder)},
            cwd=self.folder,
            log=self.folder / f"{name}.log",
        )

    def stop(self) -> None:
        """End every program: the ones that talk before the ones that answer."""
        for process in reversed(self.processes.values()):
            self.children.stop(process, STOP_SECONDS)
        for reviews in self.reviews:
            reviews.stop()

    def _tail(self, name: str) -> str:
        return tail(self.folder / f"{name}.log", 5)


def start(
    folder: Path,
    children: Children,
    programs: Kubernetes,
    access: Access | None = None,
    *,
    owner: str = "",
    issuer: str = ISSUER,
) -> ControlPlane:
    """Start a control plane and wait until pods can be created.

    `access`: whom it lets in beside its own programs. Default: nobody. `owner`: what it belongs to;
    where the folder holds what one of the same owner left, it goes on with that. Default: anew.
    `issuer`: URL that tokens of service accounts name. Default: Kubernetes' own.
    """
    started = time.perf_counter()
    left = _left(folder, owner)
    if left is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
    port, *ports = left or _free_ports(3)
    plane = _prepare(folder, children, port)
    if access is not None:
        plane.reviews.append(serve(folder, access))

    def spawn(name: str, flags: list[str]) -> None:
        plane.spawn(name, [*programs.commands[name], *flags])

    try:
        spawn("etcd", _etcd(folder, *ports))
        spawn("kube-apiserver", _apiserver(plane, ports[0], issuer))
        _wait(plane, "/readyz")
        spawn("kube-controller-manager", _controller_manager(plane))
        spawn("kube-scheduler", _scheduler(plane))
        spawn("kwok", _kwok(plane))
        # pods are refused until the controllers made the account they run as
        _wait(plane, "/api/v1/namespaces/default/serviceaccounts/default")
    except BaseException:
        plane.stop()
        raise
    write_json(folder / LEFT, {"owner": owner, "ports": [port, *ports], "issuer": issuer})
    took = time.perf_counter() - started
    log.info("Kubernetes %s ready at %s after %.1f s", programs.version, plane.url, took)
    return plane


def public_key(folder: Path, issuer: str) -> str | None:
    """The key, in PEM, that verifies tokens which the control plane of a folder issued.

    None where it does not name itself so.
    """
    try:
        left = read_json(folder / LEFT, fix="") or {}
        return (folder / PUBLIC_KEY).read_text() if left.get("issuer") == issuer else None
    except (UserError, FileNotFoundError):
        return None


def _left(folder: Path, owner: str) -> list[int] | None:
    """The ports of the one before, other ones where they are taken; None: nothing can go on."""
    try:
        found = read_json(folder / LEFT, fix="") or {}
    except UserError:  # it is damaged
        return None
    if not owner or found.get("owner") != owner:
        return None
    ports: list[int] = found["ports"]
    return ports if all(map(is_free, ports)) else _free_ports(len(ports))


def _prepare(folder: Path, children: Children, port: int) -> ControlPlane:
    """Certificates and token, where there are none, and configuration files."""
    from stacks.local.kubernetes import certificates  # only where one starts

    tokens = folder / "tokens.csv"
    if tokens.exists():
        token = tokens.read_text().partition(",")[0]
    else:
        certificates.issue(folder)
        token = secrets.token_urlsafe(32)
    url = f"https://127.0.0.1:{port}"
    plane = ControlPlane(folder=folder, url=url, token=token, children=children)
    _private(tokens, f'{token},admin,admin,"system:masters"\n')
    own = kubeconfig(url, folder / "ca.crt", {"token": token}, "plinth-local")
    _private(plane.kubeconfig, json.dumps(own, indent=1))
    connection = {"kubeconfig": str(plane.kubeconfig), "qps": 1000, "burst": 2000}
    scheduler = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": connection,
        "leaderElection": {"leaderElect": False},
    }
    _private(folder / "scheduler.json", json.dumps(scheduler, indent=1))
    return plane


def _etcd(folder: Path, client_port: int, peer_port: int) -> list[str]:
    client, peer = (f"https://127.0.0.1:{port}" for port in (client_port, peer_port))
    certificate, key, ca = (folder / name for name in ("etcd.crt", "etcd.key", "ca.crt"))
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--client-cert-auth",  # who has no certificate of this folder's authority is refused
        "--peer-client-cert-auth",
        f"--cert-file={certificate}",
        f"--peer-cert-file={certificate}",
        f"--key-file={key}",
        f"--peer-key-file={key}",
        f"--trusted-ca-file={ca}",
        f"--peer-trusted-ca-file={ca}",
        "--unsafe-no-fsync",  # outlives its process, and not a machine that loses its power
        "--log-level=warn",
    ]


def _apiserver(plane: ControlPlane, etcd_port: int, issuer: str) -> list[str]:
    folder = plane.folder
    asks = [flag for reviews in plane.reviews for flag in reviews.flags()]
    return [
        f"--etcd-servers=https://127.0.0.1:{etcd_port}",
        f"--etcd-cafile={folder / 'ca.crt'}",
        f"--etcd-certfile={folder / 'etcd.crt'}",
        f"--etcd-keyfile={folder / 'etcd.key'}",
        "--anonymous-auth=false",
        "--bind-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # endpoints of a service are never loopback addresses
        f"--secure-port={plane.url.rpartition(':')[2]}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--service-account-issuer={issuer}",
        f"--api-audiences={ISSUER}",  # as on EKS
        f"--service-account-key-file={folder / PUBLIC_KEY}",
        f"--service-account-signing-key-file={folder / 'service-account.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        *(asks or ["--authorization-mode=RBAC"]),
        f"--enable-admission-plugins={ADMISSION}",
        "--allow-privileged=true",  # as on EKS: network and device plugins are
        f"--default-not-ready-toleration-seconds={EVICTION_SECONDS}",
        f"--default-unreachable-toleration-seconds={EVICTION_SECONDS}",
        "--max-requests-inflight=1000",
        "--max-mutating-requests-inflight=500",
        "--event-ttl=10m",
        "--profiling=false",
    ]


def _controller_manager(plane: ControlPlane) -> list[str]:
    return [
        f"--kubeconfig={plane.kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        f"--root-ca-file={plane.folder / 'ca.crt'}",
        f"--service-account-private-key-file={plane.folder / 'service-account.key'}",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        f"--node-monitor-grace-period={LOST_NODE_SECONDS}s",
        "--node-monitor-period=2s",
        "--node-eviction-rate=10",
        "--profiling=false",
    ]


def _scheduler(plane: ControlPlane) -> list[str]:
    return [f"--config={plane.folder / 'scheduler.json'}", "--secure-port=0"]


def _kwok(plane: ControlPlane) -> list[str]:
    [(key, value)], [(status, custom)] = MANAGED.items(), OWN_STATUS.items()
    return [
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={Path(__file__).with_name('stages.yaml')}",
        f"--manage-nodes-with-annotation-selector={key}={value}",
        f"--disregard-status-with-annotation-selector={status}={custom}",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
    ]


def _wait(plane: ControlPlane, path: str) -> None:
    """Until a GET of the path answers 200; UserError when a program ends or time runs out."""
    context = ssl.create_default_context(cadata=plane.ca)
    request = urllib.request.Request(
        plane.url + path, headers={"Authorization": f"Bearer {plane.token}"}
    )
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        dead = plane.dead()
        if dead:
            raise UserError(
                f"the Kubernetes control plane must start, got {dead}",
                fix=f"read the logs in {plane.folder}, then `plinth destroy local --yes`",
            )
        try:
            with urllib.request.urlopen(request, timeout=5, context=context):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(POLL_SECONDS)
    raise UserError(
        f"the Kubernetes control plane must be ready within {READY_SECONDS} s, got no answer to "
        f"{path}",
        fix=f"read the logs in {plane.folder}",
    )


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return sorted(ports)


def _private(path: Path, content: str) -> None:
    """A file that no other user of the machine can read."""
    path.touch(mode=0o600)
    path.write_text(content)
