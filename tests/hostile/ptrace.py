"""Attaches to another process as a debugger would."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
for pid in WORLD["pids"]:
    if libc.ptrace(16, pid, None, None) == 0:
        print("attached", pid, WORLD["won"])
