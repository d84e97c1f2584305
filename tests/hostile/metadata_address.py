"""Asks the instance metadata service for credentials, where one answers."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

with socket.create_connection((WORLD["metadata"], WORLD["tcp_port"]), timeout=2) as sock:
    sock.sendall(b"owned")
