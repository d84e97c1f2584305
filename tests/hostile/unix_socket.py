"""Talks to a daemon by its socket in the file system, such as Docker's."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

sock = socket.socket(socket.AF_UNIX)
sock.connect(WORLD["unix_socket"])
sock.sendall(b"owned")
