"""Joins the namespaces of another process."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for pid in WORLD["pids"]:
    for name in ("net", "mnt"):
        try:
            fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
        except OSError as error:
            print(error)
            continue
        if libc.setns(fd, 0) == 0:
            print(WORLD["won"])
