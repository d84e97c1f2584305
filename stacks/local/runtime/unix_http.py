"""HTTP over Unix sockets, which only those reach who may enter their folder."""

import os
import socket
from pathlib import Path
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

LONGEST_ADDRESS_BYTES = 107
"""Of a Unix socket's path (unix(7)); a longer one is reached through its open folder."""


class _Connection(HTTPConnection):
    """A connection whose host is a socket's path."""

    def __init__(self, *args: Any, socket_path: Path, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._socket_path = socket_path

    def _new_conn(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        if isinstance(self.timeout, int | float):
            made.settimeout(self.timeout)
        try:
            connect(made, self._socket_path)
        except OSError as error:
            made.close()
            raise NewConnectionError(self, f"{self._socket_path}: {error}") from error
        return made


class UnixPool(HTTPConnectionPool):
    """Connections to the server behind one socket, kept alive."""

    ConnectionCls = _Connection

    def __init__(self, path: Path, *, size: int) -> None:
        super().__init__("localhost", maxsize=size, retries=False, socket_path=path)


def connect(made: socket.socket, path: Path) -> None:
    """Connect to a socket by its path, however long that is."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS_BYTES:
        made.connect(str(path))
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made.connect(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
