"""Talks to the machine by the address of its network card."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

with socket.create_connection((WORLD["address"], WORLD["tcp_port"]), timeout=2) as sock:
    sock.sendall(b"owned")
