"""Talks to the host of a virtual machine."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

socket.socket(40, socket.SOCK_STREAM)
print(WORLD["won"])
