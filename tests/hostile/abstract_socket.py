"""Talks to a daemon by an abstract socket, which has no file."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

sock = socket.socket(socket.AF_UNIX)
sock.connect("\0" + WORLD["abstract_socket"])
sock.sendall(b"owned")
