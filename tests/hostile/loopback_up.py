"""Brings the network card of loopback up and tries again."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import fcntl
import socket
import struct

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", 1))
except OSError as error:
    print(error)
with socket.create_connection(("127.0.0.1", WORLD["tcp_port"]), timeout=2) as other:
    other.sendall(b"owned")
