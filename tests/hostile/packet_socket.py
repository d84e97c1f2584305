"""Listens to the network."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import socket

socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
print(WORLD["won"])
