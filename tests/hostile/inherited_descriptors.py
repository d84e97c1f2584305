"""Writes to whatever descriptors it was left."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import os

for fd in range(3, 256):
    try:
        os.fstat(fd)
        print(fd, os.readlink(f"/proc/self/fd/{fd}"), WORLD["won"])
    except OSError:
        continue
