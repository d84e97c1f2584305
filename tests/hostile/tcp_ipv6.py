"""Talks to a server by IPv6."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

with socket.create_connection(("::1", WORLD["tcp6_port"]), timeout=2) as sock:
    sock.sendall(b"owned")
