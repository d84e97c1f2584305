"""Talks to a server on loopback, such as the local cloud."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

with socket.create_connection(("127.0.0.1", WORLD["tcp_port"]), timeout=2) as sock:
    sock.sendall(b"owned")
