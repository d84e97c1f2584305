"""What of the local cloud listens, and what keeps strangers from using it.

Where a program says what it is, no more than this list may listen: a test looks at a full `up`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from stacks.local.daemon.client import CloudInfo
from stacks.local.kubernetes import access
from stacks.local.runtime.processes import Children, session_members

SIGNED = "requests must name a loopback address, come from no web page and be signed with own keys"
OWN_PROCESS = "the caller must be a process of this user with this home's keys in its environment"
PASSWORD = "requests must name a loopback address, come from no web page and have the password"
CERTIFICATE = "callers must show a client certificate of this control plane's authority"
TOKEN = "TLS, and callers must show a token of `aws eks get-token` whose IAM principal may come in"
NOTHING = "nothing: a container of somebody else listens on loopback as SageMaker's contract says"

GUARDS = {
    "etcd": CERTIFICATE,
    "kube-apiserver": TOKEN,
    "mlflow app": PASSWORD,
    "mlflow tracking server": PASSWORD,
    "endpoint": NOTHING,  # our own image listens on a Unix socket in a closed folder
}
"""First words of a child's purpose, and what guards where it listens."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A TCP socket that takes connections."""

    address: str
    port: int
    process: str
    """What the process is for."""

    guard: str | None
    """None: nobody said what guards it, which is a fault."""


def listeners(home: Path, cloud: CloudInfo) -> list[Listener]:
    """Every TCP socket on which the cloud of a home or a child of it listens."""
    found = []
    ours = {
        int(cloud.endpoint_url.rpartition(":")[2]): ("AWS endpoint", SIGNED),
        cloud.provider_port: ("AWS provider", OWN_PROCESS),
        cloud.kubernetes_port: ("Kubernetes provider", OWN_PROCESS),
        access.port_of(home / "local" / "kubernetes"): ("access to the cluster", CERTIFICATE),
    }
    for address, port in _listening([psutil.Process(cloud.pid)]):
        purpose, guard = ours.get(port, ("local cloud", None))
        found.append(Listener(address=address, port=port, process=purpose, guard=guard))
    for child in Children(folder=home / "local" / "run").recorded():
        named = [guard for words, guard in GUARDS.items() if child.purpose.startswith(words)]
        for address, port in _listening(session_members(child.pid)):
            found.append(
                Listener(
                    address=address,
                    port=port,
                    process=child.purpose,
                    guard=named[0] if named else None,
                )
            )
    return sorted(found, key=lambda listener: listener.port)


def _listening(processes: list[psutil.Process]) -> Iterator[tuple[str, int]]:
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended, or enters its namespaces
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port
