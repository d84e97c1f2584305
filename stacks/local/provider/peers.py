"""Which process is on the other end of a connection to the provider, and may it ask.

The engine attaches to a running provider by its port alone: it can send no token. So the provider
looks at the process that the connection belongs to. It must run as this user and have the secret
key of this home in its environment, as `plinth` and `eval "$(plinth env local)"` give it. Linux
tells both (/proc/net/tcp and /proc/PID/environ, proc(5)).
"""

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

Admits = Callable[[str, int], bool]
"""Whether the peer of a connection, as gRPC names it, may call this port of ours."""

SessionOf = Callable[[str], dict[str, str]]
"""Variables of the session of a peer; none: it deploys with the keys of the home."""


def no_session(peer: str) -> dict[str, str]:
    """No session: everybody deploys with the keys of the home."""
    return {}


PEER = re.compile(r"(?:ipv4:|ipv6:(?:%5B|\[)::ffff:)127\.0\.0\.1(?:%5D|\])?:(?P<port>\d+)")
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F")
"""127.0.0.1 as /proc/net/tcp and /proc/net/tcp6 write it."""

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED = "01"
REMEMBERED = 256

TRIES, PAUSE_SECONDS = 20, 0.05
"""The kernel writes the table while connections come and go, so that one look may miss a row."""

SESSION = {
    "AWS_ACCESS_KEY_ID": "PLINTH_SESSION_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "PLINTH_SESSION_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN": "PLINTH_SESSION_TOKEN",
}
"""Variable of the AWS SDKs -> the one that holds it in an engine's environment."""

REFUSED = (
    "only processes that have the keys of this home may call its provider; "
    'type: eval "$(plinth env local)"'
)


def owner_with(variable: str, value: str) -> Admits:
    """Admits connections of this user's processes that have `variable=value`."""
    wanted = f"{variable}={value}".encode()
    admitted: OrderedDict[str, None] = OrderedDict()

    def holds(inode: str) -> bool:
        if inode not in admitted and not any(wanted in e for e in _environments(inode)):
            return False
        admitted[inode] = None
        while len(admitted) > REMEMBERED:
            admitted.popitem(last=False)
        return True

    def admits(peer: str, own_port: int) -> bool:
        found = PEER.fullmatch(peer)
        if found is None:
            return False
        for _ in range(TRIES):
            inode = _inode(int(found["port"]), own_port)
            if inode is not None:
                return holds(inode)
            time.sleep(PAUSE_SECONDS)
        return False

    return admits


def session_of(peer: str, own_port: int) -> dict[str, str]:
    """AWS variables of the session with which the process behind a connection deploys.

    As the official provider finds them in the environment (pulumi-aws, configuration), by names of
    their own, since the AWS variables hold the keys of the home. None: it deploys with those.
    """
    found = PEER.fullmatch(peer)
    inode = _inode(int(found["port"]), own_port) if found else None
    for variables in _environments(inode) if inode else ():
        given = dict(one.decode(errors="replace").partition("=")[::2] for one in variables if one)
        if given.get(SESSION["AWS_SESSION_TOKEN"]):
            return {name: given.get(variable, "") for name, variable in SESSION.items()}
    return {}


def _inode(port: int, own_port: int) -> str | None:
    """The socket of this user that is connected from a loopback port to one of ours.

    Both ports say which: the kernel gives a port that is in use to connections elsewhere too.
    """
    ours = str(os.getuid())
    for table in TABLES:
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            columns = line.split()
            if columns[3] != ESTABLISHED or columns[7] != ours:
                continue
            address, _, from_port = columns[1].partition(":")
            _, _, to_port = columns[2].partition(":")
            if address in LOOPBACK and (int(from_port, 16), int(to_port, 16)) == (port, own_port):
                return columns[9]
    return None


def _environments(inode: str) -> Iterator[list[bytes]]:
    """The environment of every process that holds this socket, as far as it may be read."""
    link = f"socket:[{inode}]"
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if _has_open(process, link):
                yield (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended, or belongs to somebody else
            continue


def _has_open(process: Path, link: str) -> bool:
    for entry in (process / "fd").iterdir():
        try:
            if str(entry.readlink()) == link:
                return True
        except FileNotFoundError:  # closed since it was listed; others are still open
            continue
    return False


class Guard(grpc.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """Answers PERMISSION_DENIED to peers that are not admitted, whatever they call."""

    def __init__(self, admits: Admits) -> None:
        self._admits = admits
        self.own_port = 0
        """Known once the server is bound."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """The method's handler with the check in front."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return grpc.unary_unary_rpc_method_handler(_unknown)

        def checked(request: Any, context: grpc.ServicerContext) -> Any:
            if not self._admits(context.peer(), self.own_port):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, REFUSED)
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            checked, handler.request_deserializer, handler.response_serializer
        )


def _unknown(request: Any, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "the local provider has no such method")
