"""Reads a key of the session that started it."""

import json
import sys

WORLD = json.loads(sys.argv[1])
import ctypes
import platform

libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 249, "aarch64": 218}[platform.machine()]
key = libc.syscall(number, b"user", WORLD["key"].encode(), None, 0)
if key > 0:
    print(WORLD["won"])
